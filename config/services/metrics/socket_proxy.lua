-- What the proxy of the Docker socket answers by itself, and from when it lets a log be read.

local ENGINE = "unix@/var/run/docker.sock"
local LOKI = "127.0.0.1:3100" -- a port of the proxy itself, which knows Loki's address

-- Seconds. Loki takes a line into a stream that goes on up to an hour late (half of its max_chunk_age).
local LATE = 3000
-- Seconds. A line may overtake another one of its container in the shipper, which waits for the end of stack traces.
local OVERTAKEN = 5

-- Server and path → a question that waits for its answer; whoever asks the same meanwhile shares it.
local questions = {}
-- Tasks that ask, and so how many questions the engine gets at a time. Seconds for which an answer is waited for.
local ASKERS, PATIENCE = 4, 10

-- One that nobody has taken, without those whose clients have gone.
local function untaken()
    local now = core.now().sec
    for key, question in pairs(questions) do
        if not question.taken and now - question.wanted > 1 then
            questions[key] = nil
        elseif not question.taken then
            return key, question
        end
    end
end

-- The only ones that wait for a server. HAProxy (2.6 and 3.2) ends itself when somebody waits for its HTTP client and
-- goes. They never end, because HAProxy 2.6 keeps the function of a task for ever, with all that it has seen. Not by
-- `core.tcp`, which waits without end for the rest of an answer that is longer than a buffer (16 KiB).
for _ = 1, ASKERS do
    core.register_task(function()
        local pause = 5
        while true do
            local key, question = untaken()
            if key then
                question.taken = true
                local well, given = pcall(function()
                    return core.httpclient():get({
                        url = "http://docker" .. question.path,
                        dst = question.server,
                        timeout = PATIENCE * 1000,
                    })
                end)
                questions[key] = nil
                question.answer = well and given or { status = 0 } -- Lua's memory may be at its bound
                pause = 5
            else
                core.msleep(pause)
                pause = math.min(2 * pause, 100) -- at 20 ms all the time, an idle proxy takes 0.5 % of a core
            end
        end
    end)
end

-- Status and body of what a server answers; 0 or an error of HAProxy's own when there is no answer.
local function ask(path, server)
    local key = server .. path
    local question = questions[key] or { path = path, server = server, wanted = core.now().sec }
    questions[key] = question
    while not question.answer do
        core.msleep(5)
        question.wanted = core.now().sec
    end
    return question.answer.status, question.answer.body or ""
end

-- JSON as tables. Texts stay as they are written, with their escapes: they are only written again.
local function decode(text)
    local at, value = 1, nil
    local function next_mark()
        at = text:find("[^ \t\r\n]", at) or #text + 1
        return text:sub(at, at)
    end
    local function quoted()
        local from = at + 1
        at = text:find('["\\]', from)
        while text:sub(at, at) == "\\" do
            at = text:find('["\\]', at + 2)
        end
        at = at + 1
        return text:sub(from, at - 2)
    end
    local function members(close, read)
        local all = {}
        at = at + 1
        while next_mark() ~= close do
            if text:sub(at, at) == "," then
                at = at + 1
            else
                read(all)
            end
        end
        at = at + 1
        return all
    end
    value = function()
        local mark = next_mark()
        if mark == "{" then
            return members("}", function(all)
                local key = quoted()
                at = text:find(":", at, true) + 1
                all[key] = value()
            end)
        elseif mark == "[" then
            return members("]", function(all)
                all[#all + 1] = value()
            end)
        elseif mark == '"' then
            return quoted()
        end
        local word = text:match("^[%w.+-]+", at)
        at = at + #word
        if word == "true" or word == "false" then
            return word == "true"
        end
        return tonumber(word)
    end
    return value()
end

-- Id → what was last told of a container, and until when that is believed: shippers ask for each every few seconds. One
-- that runs says itself when it ends: its log does.
local told, BELIEVED_ENDED, BELIEVED_RUNNING = {}, 10, 30

-- What names a service: labels, the first that says something, or else the name without such ends (config/service_names.py).
local LABELS = { "observability.service", "com.docker.compose.service", "com.docker.swarm.service.name" }
local HEX4 = string.rep("[0-9a-f]", 4)
local ENDS = {
    HEX4 .. HEX4 .. "%-" .. string.rep(HEX4 .. "%-", 3) .. string.rep(HEX4, 3),
    "v%d+%.[%d.]*%d",
    "%d+",
    string.rep("[0-9a-f]", 7) .. "[0-9a-f]*",
    string.rep("[0-9a-z]", 25),
    "uncommitted",
    "upcoming",
    "blue",
    "green",
}

-- Characters of a name beyond ASCII, each up to the next, and how many characters it may have (config/service_names.py).
local LETTERS = { { 0xA1, 0x1FFF }, { 0x2070, 0xD7FF }, { 0xFB00, 0xFEFE }, { 0xFF00, 0xFFEF }, { 0x10000, 0xDFFFF } }
local LENGTH = 128

-- Whether a label can name a service. An escape of JSON's is of a sign that it cannot have.
local function is_name(text)
    local length = utf8.len(text)
    if not length or length == 0 or length > LENGTH or text:find("[^%w_.:/@ \128-\255-]") then
        return false
    end
    for _, code in utf8.codes(text) do
        local known = code < 128
        for _, letters in ipairs(LETTERS) do
            known = known or (letters[1] <= code and code <= letters[2])
        end
        if not known then
            return false
        end
    end
    return true
end

-- Coolify's label, which replaces a name that Coolify has made up (config/service_names.py).
local COOLIFY, MADE_UP = "coolify.serviceName", "^" .. string.rep("[0-9a-z]", 24)

local function by_coolify(name, labels)
    local made_up = name:find(MADE_UP .. "$") or name:find(MADE_UP .. "%-%d+$")
    return made_up and is_name(labels[COOLIFY] or "") and labels[COOLIFY] or name
end

-- The service of a container: as the shippers name it, or else a log would be read twice.
local function service_of(name, labels)
    for _, label in ipairs(LABELS) do
        if is_name(labels[label] or "") then
            if label == LABELS[1] then
                return labels[label]
            end
            return by_coolify(labels[label], labels)
        end
    end
    repeat
        local before = name
        for _, one in ipairs(ENDS) do
            name = name:gsub("^(.+)[-_.]" .. one .. "$", "%1")
        end
    until name == before
    return by_coolify(name, labels)
end

-- What a shipper must know of a container, or nil and the engine's status.
local function inspect(id)
    local now = core.now().sec
    if told[id] and now < told[id].till then
        return told[id].facts
    end
    local status, body = ask("/containers/" .. id .. "/json", ENGINE)
    if status ~= 200 then
        return nil, status
    end
    local container = decode(body)
    local state = container.State
    local facts = {
        id = container.Id,
        name = container.Name,
        service = service_of(container.Name:sub(2), container.Config.Labels or {}),
        tty = container.Config.Tty,
        status = state.Status,
        running = state.Running,
        restarting = state.Restarting,
        started = state.StartedAt,
        finished = state.FinishedAt,
        exit = state.ExitCode,
        restarts = container.RestartCount,
        policy = container.HostConfig.RestartPolicy.Name,
    }
    local settled = state.Running and BELIEVED_RUNNING or not state.Restarting and BELIEVED_ENDED or 0
    told[id] = { facts = facts, till = now + settled }
    return facts
end

local function reply(txn, status, kind, body)
    local answer = txn:reply()
    answer:set_status(status)
    answer:add_header("Content-Type", kind)
    answer:set_body(body)
    txn:done(answer)
end

-- The engine would tell a container's environment too, where secrets are.
core.register_action("inspect", { "http-req" }, function(txn)
    local facts, status = inspect(txn.f:path():match("/containers/([^/]+)/json$"))
    if not facts then
        return reply(txn, status == 404 and 404 or 502, "application/json", '{"message":"the engine does not tell of this container"}\n')
    end
    reply(txn, 200, "application/json", string.format(
        '{"Id":"%s","Name":"%s","Config":{"Tty":%s},"State":{"Status":"%s","Running":%s,"Restarting":%s,'
            .. '"StartedAt":"%s","FinishedAt":"%s"}}\n',
        facts.id, facts.name, facts.tty, facts.status, facts.running, facts.restarting, facts.started, facts.finished
    ))
end)

-- Seconds since 1970 of a time as the engine writes it.
local function seconds(time)
    local year, month, day, hour, minute, second = time:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
    year, month = tonumber(year), tonumber(month)
    if month < 3 then
        year, month = year - 1, month + 12
    end
    local days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
    return days * 86400 + hour * 3600 + minute * 60 + second
end

-- The time of the newest line of a container that Loki has, since `from`; 0 when there is none, nil when Loki is away. One
-- of a time to come is from a clock that was ahead, and tells nothing of what came after it.
local function delivered(facts, from)
    local query = string.format('{source="docker",service="%s"} | container="%s"', facts.service, facts.name:sub(2))
    local escaped = query:gsub("[^%w]", function(letter)
        return string.format("%%%02X", letter:byte())
    end)
    local range = string.format("&direction=backward&limit=1&start=%d&end=%d", from, core.now().sec + 1)
    local status, body = ask("/loki/api/v1/query_range?query=" .. escaped .. range, LOKI)
    if status ~= 200 then
        return nil
    end
    return tonumber(body:match('"values":%s*%[%s*%[%s*"(%d+)%d%d%d%d%d%d%d%d%d"') or 0)
end

-- What is known of a store that cannot be asked. So a log is read from somewhat before its position; the store drops what it
-- has already.
local function unknown()
    return 0
end

-- Readers of logs, each with positions and a store of its own: what one has read says nothing of what has arrived for another.
local readers = {}

-- Lets a reader read a log from the right moment. It keeps a position of what it has read, which is not what it has delivered,
-- and none (0) of a container that is new to it or whose log has come to an end. So its store is asked (`newest_of`), once
-- after each start of the reader; later on its own word is right.
local function add_reader(name, newest_of)
    -- Container → whether its log has been asked for since the reader has started; → the end up to which it has been read.
    local reader = { asked = {}, ended = {} }
    readers[#readers + 1] = reader

    -- A client of the engine pings it before anything else.
    core.register_action(name .. "begin", { "http-req" }, function()
        reader.asked, reader.ended, told = {}, {}, {}
    end)

    core.register_action(name .. "since", { "http-req" }, function(txn)
        local id = txn.f:path():match("/containers/([^/]+)/logs$")
        local query = txn.f:query() or ""
        local since = tonumber(query:match("since=(%d+)")) or 0
        local facts = inspect(id)
        if not facts then
            return
        end
        id = facts.id
        local now = core.now().sec
        local late = now - LATE
        -- A position of a time to come is from a clock that was ahead: until then the engine would tell nothing.
        if since > now then
            since, reader.asked[id] = 0, nil
        end
        local finish = not facts.running and facts.finished
        -- A log that has ended would be read again and again.
        if finish and (reader.ended[id] == finish or (since == 0 and seconds(finish) < late)) then
            return reply(txn, 200, "application/vnd.docker.raw-stream", "")
        end
        if not reader.asked[id] then
            local from = since == 0 and late or since - LATE
            local newest = newest_of(facts, from)
            if not newest then
                return reply(txn, 503, "application/json", '{"message":"waits for Loki, to know what it has of this log"}\n')
            end
            since = newest == 0 and from or newest - OVERTAKEN
        end
        reader.asked[id], reader.ended[id] = true, finish or nil
        txn.http:req_set_query((query:gsub("since=[^&]*", "since=" .. since)))
    end)
end

-- Address → how many of its connections were refused when they were last told of.
local refused = {}

-- The container that has an address; the address itself where none has.
local function name_of(address)
    local status, body = ask("/containers/json", ENGINE)
    for _, container in ipairs(status == 200 and decode(body) or {}) do
        for _, network in pairs(container.NetworkSettings.Networks) do
            if network.IPAddress == address or network.GlobalIPv6Address == address then
                return container.Names[1]:sub(2)
            end
        end
    end
    return address
end

-- Says once a minute whose connections are refused. Nothing else would: such a connection is closed before it is a request.
core.register_task(function()
    while true do
        for key, client in pairs(core.proxies.docker.stktable:dump({ { "gpc0", "gt", 0 } })) do
            local more = client.gpc0 - (refused[key] or 0)
            refused[key] = client.gpc0
            if more > 0 then
                local who = name_of((key:gsub("^::ffff:", "")))
                core.log(core.warning, string.format("client %s: %d connections refused, %d open", who, more, client.conn_cur))
            end
        end
        core.sleep(60)
    end
end)

-- Seconds for which a container that has ended is still told of.
local TOLD = 3600

-- For Prometheus: whether a container runs, what it ended with, and how often the engine has started it again. cAdvisor sees what
-- is there when it looks, and so neither a crash loop nor the difference between a job and a service.
local page = ""

-- Of what is known by Ids, that of containers that are still there.
local function only(known, listed)
    local kept = {}
    for id in pairs(listed) do
        kept[id] = known[id]
    end
    return kept
end

core.register_action("look", { "http-req" }, function(txn)
    local status, body = ask("/containers/json?all=1", ENGINE)
    if status ~= 200 then
        return
    end
    local lines = {}
    local listed = {}
    for _, one in ipairs(decode(body)) do
        listed[one.Id] = true
    end
    for id in pairs(listed) do
        local facts = inspect(id)
        if facts and (facts.running or core.now().sec - seconds(facts.finished) < TOLD) then
            local name = facts.name:sub(2)
            local labels = string.format(
                '{name="%s",service="%s",id="%s",restart="%s"}',
                name, facts.service, facts.id:sub(1, 12), facts.policy ~= "" and facts.policy or "no"
            )
            lines[#lines + 1] = string.format("engine_container_running%s %d\n", labels, facts.running and 1 or 0)
            lines[#lines + 1] = string.format("engine_container_restarts_total%s %d\n", labels, facts.restarts)
            if not facts.running then
                lines[#lines + 1] = string.format("engine_container_exit_code%s %d\n", labels, facts.exit)
            end
        end
    end
    page = table.concat(lines)
    told = only(told, listed)
    for _, reader in ipairs(readers) do
        reader.asked, reader.ended = only(reader.asked, listed), only(reader.ended, listed)
    end
    txn:set_var("txn.looked", 1)
end)

-- Nothing here waits for the engine: HAProxy 2.6 ends itself when a service waits and its client goes.
core.register_service("containers", "http", function(applet)
    applet:set_status(200)
    applet:add_header("content-type", "text/plain; version=0.0.4")
    applet:start_response()
    applet:send(page)
end)
