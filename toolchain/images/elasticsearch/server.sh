# Elasticsearch: more for the JVM from ES_JAVA_OPTS.
jdk/bin/java -XX:TieredStopAtLevel=1 -cp 'lib/*:bin/launcher.jar' \
    ServerArguments "$scratch/arguments" "$PWD" "$scratch/settings" >&2

# The server reads its arguments from there, and ends when there is nothing more to read: never, as long as it holds
# the other end of the pipe itself.
mkfifo "$scratch/input"
exec 3<>"$scratch/input"
cat "$scratch/arguments" >&3

native=$(echo "$PWD"/lib/platform/*)
export LIBFFI_TMPDIR="$scratch"
# shellcheck disable=SC2086 # one word for each option
server -Djava.locale.providers=CLDR -Dfile.encoding=UTF-8 -Djava.library.path="$native" \
    -Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false \
    -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true -Dlog4j2.formatMsgNoLookups=true \
    -Des.path.home="$PWD" -Des.path.conf="$PWD/config" -Des.distribution.type=docker -Des.cgroups.hierarchy.override=/ \
    -Des.entitlements.enabled=true -XX:+EnableDynamicAgentLoading -Djdk.attach.allowAttachSelf=true \
    --patch-module java.base="$(echo lib/entitlement-bridge/*.jar)" \
    --add-exports java.base/org.elasticsearch.entitlement.bridge=org.elasticsearch.entitlement,java.logging,java.net.http,java.naming,jdk.net \
    --module-path lib --add-modules=jdk.net,jdk.management.agent,ALL-MODULE-PATH ${ES_JAVA_OPTS:-} \
    -m org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch <&3
