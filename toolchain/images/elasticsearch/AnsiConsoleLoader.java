package org.elasticsearch.io.ansi;

import java.util.function.Supplier;

/** The server asks this class, which is not on Maven Central, for a terminal that knows colours: there is none. */
public final class AnsiConsoleLoader implements Supplier<Object> {
    @Override
    public Object get() {
        return null;
    }
}
