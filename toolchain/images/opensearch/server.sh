# OpenSearch: more for the JVM from OPENSEARCH_JAVA_OPTS.
set --
while read -r setting; do
    set -- "$@" "-E$setting"
done <"$scratch/settings"

# shellcheck disable=SC2086 # one word for each option
server -Djava.locale.providers=SPI,COMPAT -Djava.security.manager=allow \
    -Dopensearch.networkaddress.cache.ttl=60 -Dio.netty.allocator.numDirectArenas=0 \
    -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true -Dlog4j2.formatMsgNoLookups=true \
    -Dopensearch.path.home="$PWD" -Dopensearch.path.conf="$PWD/config" -Dopensearch.distribution.type=docker \
    -Dopensearch.cgroups.hierarchy.override=/ ${OPENSEARCH_JAVA_OPTS:-} \
    -cp 'lib/*' org.opensearch.bootstrap.OpenSearch "$@"
