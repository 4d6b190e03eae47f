# Reads the server's process id, anew at each start. The end of the input means that the owner is gone.
while read -r line; do pid=$line; done

children() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        number=${line%% *}
        # The name stands in brackets and may have any letter; after it come the state and the parent.
        set -- ${line##*) }
        [ "$2" = "$pid" ] && echo "$number"
    done
}

if [ "${pid:-none}" != none ]; then
    kill -CONT "$pid" $(children)
    # At once, but with its shared memory given back.
    kill -QUIT "$pid"
    tries=0
    while kill -0 "$pid" && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$pid" $(children)
fi
rm -rf -- "$@"
