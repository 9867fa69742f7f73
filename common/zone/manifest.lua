-- What the zone holds, without the payloads: a new primary learns it at promotion. zone-protocol 4.
-- KEYS: log or old log   ARGV: after (revision), most, event key prefix
-- -> {{name, revision, hash, version, kind, id, updatedAt}...} in revision order; of what the log does not name
--    at the revision in the hash, the hash is ''
local call = redis.call
local page = call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2]))
local out = {}
for i = 1, #page, 2 do
	-- A key that is no hash is a lost one: h.err, and no fields.
	local h = redis.pcall('HMGET', ARGV[3] .. page[i], 'zsHash', 'zsVer', 'type', 'id', 'updatedAt', 'zsRev')
	local whole = h[6] and tonumber(h[6]) == tonumber(page[i + 1])
	out[#out + 1] = {page[i], page[i + 1], whole and h[1] or '', h[2] or '', h[3] or '', h[4] or '', h[5] or ''}
end
return out
