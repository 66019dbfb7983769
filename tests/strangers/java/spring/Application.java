package spring;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Spring Boot with its actuator and Micrometer's registry for Prometheus. */
@SpringBootApplication
@RestController
public class Application {
    @GetMapping("/")
    public String index() throws InterruptedException {
        Thread.sleep(120);
        return "well";
    }

    @GetMapping("/fail")
    public String fail() {
        throw new IllegalStateException("as asked");
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Application.class, arguments);
    }
}
