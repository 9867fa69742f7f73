-- One step over all keys: events of this zone, whoever wrote them. A new primary learns what a Java primary left. zone-protocol 4.
-- KEYS: none   ARGV: cursor, pattern of the keys, event key prefix, zone id, most bytes of payloads
-- -> {cursor, {{name, id, type, action, hash, payload}...}}; a payload beyond the bytes is empty
local call = redis.call
local page = call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 200)
local out = {}
local bytes, most = 0, tonumber(ARGV[5])
for _, key in ipairs(page[2]) do
	-- Not by the prefix: zone "a" is not "a:b".
	if call('TYPE', key).ok == 'hash' and call('HGET', key, 'clusterId') == ARGV[4] then
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
