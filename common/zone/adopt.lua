-- One step over all keys: events of this zone, whoever wrote them. A new primary learns what a Java primary left. zone-protocol 4.
-- KEYS: none   ARGV: cursor, pattern of the keys, event key prefix, zone id, most bytes of payloads
-- -> {cursor, {{name, id, type, action, hash, payload}...}}; a payload beyond the bytes is empty: it alone is too large
local call = redis.call
local most = tonumber(ARGV[5])

-- Not by the prefix: zone "a" is not "a:b".
local function ours(key)
	return call('TYPE', key).ok == 'hash' and call('HGET', key, 'clusterId') == ARGV[4]
end

local function size(keys)
	local n = 0
	for _, key in ipairs(keys) do
		n = n + (ours(key) and call('HSTRLEN', key, 'payload') or 0)
	end
	return n
end

-- A shorter step from the same place, until an answer can carry what it finds.
local count = 200
local page
repeat
	page = call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', count)
	local last = count == 1 or size(page[2]) <= most
	count = math.max(math.floor(count / 4), 1)
until last

local out = {}
local bytes = 0
for _, key in ipairs(page[2]) do
	if ours(key) then
		local h = call('HMGET', key, 'id', 'type', 'syncAction', 'zsHash')
		local payload = ''
		if h[3] == 'DEPLOY' then
			bytes = bytes + call('HSTRLEN', key, 'payload')
			if bytes <= most then
				payload = call('HGET', key, 'payload') or ''
			end
		end
		out[#out + 1] = {string.sub(key, #ARGV[3] + 1), h[1] or '', h[2] or '', h[3] or '', h[4] or '', payload}
	end
end
return {page[1], out}
