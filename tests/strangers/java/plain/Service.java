package plain;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** The JDK's own server, without any metric. */
public class Service {
    public static void main(String[] arguments) throws Exception {
        var address = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            var failed = exchange.getRequestURI().getPath().equals("/fail");
            try {
                Thread.sleep(failed ? 0 : 120);
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
            exchange.sendResponseHeaders(failed ? 500 : 200, -1);
            exchange.close();
        });
        server.start();
    }
}
