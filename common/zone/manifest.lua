-- What the zone holds, without the payloads: a new primary learns it at promotion. zone-protocol 4.
-- KEYS: log or old log   ARGV: after (revision), most, event key prefix
-- -> {{name, revision, zs, kind, id, updatedAt}...} in revision order
-- A key of another type names nobody: the first page that is written there finds it.
local page = redis.pcall('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2]))
local out = {}
for i = 1, #page, 2 do
	-- A key that is no hash is a lost one: h.err, and no fields.
	local h = redis.pcall('HMGET', ARGV[3] .. page[i], 'zs', 'type', 'id', 'updatedAt')
	out[#out + 1] = {page[i], page[i + 1], h[1] or '', h[2] or '', h[3] or '', h[4] or ''}
end
return out
