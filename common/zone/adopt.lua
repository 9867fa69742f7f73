-- One step over all keys: events of this zone, whoever wrote them. A new primary learns what a Java primary left. zone-protocol 4.
-- KEYS: none   ARGV: cursor, pattern of the keys, event key prefix, zone id, most bytes of payloads
-- -> {cursor, {{name, id, type, action, zs, payload}...}}; a payload beyond them, even in a step of one key, is empty
local call = redis.call
local most = tonumber(ARGV[5])

-- Those of this zone among the keys, and the bytes of their payloads. Not by the prefix: zone "a" is not "a:b".
local function ours(keys)
	local list, bytes = {}, 0
	for _, key in ipairs(keys) do
		if call('TYPE', key).ok == 'hash' and call('HGET', key, 'clusterId') == ARGV[4] then
			local h = call('HMGET', key, 'id', 'type', 'syncAction', 'zs')
			local size = h[3] == 'DEPLOY' and call('HSTRLEN', key, 'payload') or 0
			list[#list + 1] = {key = key, size = size, h = h}
			bytes = bytes + size
		end
	end
	return list, bytes
end

-- The same step with fewer keys, when they carry too much.
local count, page, list, bytes = 200
repeat
	page = call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', count)
	list, bytes = ours(page[2])
	local last = count == 1
	count = math.max(1, math.floor(count / 8))
until bytes <= most or last

local out, left = {}, most
for _, one in ipairs(list) do
	local h, payload = one.h, ''
	if one.size > 0 and one.size <= left then
		payload = call('HGET', one.key, 'payload')
		left = left - one.size
	end
	out[#out + 1] = {string.sub(one.key, #ARGV[3] + 1), h[1] or '', h[2] or '', h[3] or '', h[4] or '', payload}
end
return {page[1], out}
