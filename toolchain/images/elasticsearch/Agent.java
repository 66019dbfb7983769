import java.lang.instrument.Instrumentation;

/**
 * The server attaches the one jar of lib/entitlement-agent to itself and names its own class, which wants the JVM's
 * Instrumentation. The genuine agent is not on Maven Central.
 */
public final class Agent {
    private Agent() {}

    public static void agentmain(String initialization, Instrumentation instrumentation) throws ReflectiveOperationException {
        Class.forName(initialization).getMethod("initialize", Instrumentation.class).invoke(null, instrumentation);
    }
}
