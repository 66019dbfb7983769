
-- For the second copy of the logs, which goes far away: a reader of its own, whose positions and ends are its own too. What the
-- other one has read, and what Loki has, says nothing of what has arrived there.
local far_asked, far_ended = {}, {}

core.register_action("far_begin", { "http-req" }, function()
    far_asked, far_ended = {}, {}
end)

-- The store far away cannot be asked what it has. So after each start of the shipper a log is read from somewhat before its
-- position; the store drops what it has already.
core.register_action("far_since", { "http-req" }, function(txn)
    local id = txn.f:path():match("/containers/([^/]+)/logs$")
    local query = txn.f:query() or ""
    local since = tonumber(query:match("since=(%d+)")) or 0
    local facts = inspect(id)
    if not facts then
        return
    end
    id = facts.id
    local now = core.now().sec
    if since > now then
        since, far_asked[id] = 0, nil
    end
    local finish = not facts.running and facts.finished
    if finish and (far_ended[id] == finish or (since == 0 and seconds(finish) < now - LATE)) then
        return reply(txn, 200, "application/vnd.docker.raw-stream", "")
    end
    if not far_asked[id] then
        since = since == 0 and now - LATE or since - LATE
    end
    far_asked[id], far_ended[id] = true, finish or nil
    txn.http:req_set_query((query:gsub("since=[^&]*", "since=" .. since)))
end)

-- With each look at the engine's containers, those that are gone are forgotten here too.
core.register_action("far_forget", { "http-req" }, function()
    far_asked, far_ended = only(far_asked, asked), only(far_ended, asked)
end)
