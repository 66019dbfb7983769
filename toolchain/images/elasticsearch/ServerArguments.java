import java.nio.file.Files;
import java.nio.file.Path;
import org.elasticsearch.bootstrap.ServerArgs;
import org.elasticsearch.common.io.stream.OutputStreamStreamOutput;
import org.elasticsearch.common.settings.KeyStoreWrapper;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Settings;

/**
 * What the server reads from its standard input at start. The genuine launcher, server-cli, is not on Maven Central.
 * Like that one it makes a keystore in the configuration folder, which must be writable for it.
 *
 * <p>Arguments: the file to write, the home folder, a file with one setting (key=value) a line.
 */
public final class ServerArguments {
    private ServerArguments() {}

    public static void main(String[] arguments) throws Exception {
        Path output = Path.of(arguments[0]);
        Path home = Path.of(arguments[1]);
        Path configuration = home.resolve("config");
        Settings.Builder settings = Settings.builder().loadFromPath(configuration.resolve("elasticsearch.yml"));
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            int separator = line.indexOf('=');
            settings.put(line.substring(0, separator), line.substring(separator + 1));
        }
        settings.put("path.home", home.toString());
        if (settings.get("node.name") == null) {
            settings.put("node.name", System.getenv().getOrDefault("HOSTNAME", "elasticsearch"));
        }
        write(output, home, configuration, settings.build());
    }

    private static void write(Path output, Path home, Path configuration, Settings settings) throws Exception {
        KeyStoreWrapper keystore = KeyStoreWrapper.bootstrap(configuration, () -> new SecureString(new char[0]));
        ServerArgs forServer = new ServerArgs(false, false, null, keystore, settings, configuration, home.resolve("logs"));
        try (OutputStreamStreamOutput stream = new OutputStreamStreamOutput(Files.newOutputStream(output))) {
            forServer.writeTo(stream);
        }
    }
}
