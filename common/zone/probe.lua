-- May this user do what zonesync does? Tried on keys of its own, which it removes. zone-protocol 1.
-- KEYS: two scratch keys of the zone, a scratch key beside the events
-- -> {refused text...}
local refused = {}
local function try(...)
	local r = redis.pcall(...)
	if type(r) == 'table' and r.err then
		refused[#refused + 1] = (...) .. ' ' .. ((select(2, ...)) or '') .. ': ' .. r.err
	end
end
redis.pcall('DEL', KEYS[1], KEYS[2], KEYS[3])
try('TIME')
try('HSET', KEYS[1], 'f', '1')
try('HINCRBY', KEYS[1], 'f', 1)
try('TYPE', KEYS[1])
try('HMGET', KEYS[1], 'f')
try('PEXPIRE', KEYS[1], 1000)
try('PTTL', KEYS[1])
try('EXISTS', KEYS[1])
try('DEL', KEYS[1])
try('SET', KEYS[1], '1', 'PX', 1000)
try('DEL', KEYS[1])
try('ZADD', KEYS[1], 1, 'm')
try('ZSCORE', KEYS[1], 'm')
try('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf')
try('ZUNIONSTORE', KEYS[2], 2, KEYS[1], KEYS[2])
try('RENAME', KEYS[1], KEYS[2])
try('ZREM', KEYS[2], 'm')
try('DEL', KEYS[2])
try('SADD', KEYS[1], 'm')
try('SRANDMEMBER', KEYS[1], 1)
try('SREM', KEYS[1], 'm')
try('SCARD', KEYS[1])
try('RPUSH', KEYS[2], 'm')
try('LTRIM', KEYS[2], -1, -1)
try('LRANGE', KEYS[2], 0, -1)
try('DEL', KEYS[2])
try('HSET', KEYS[3], 'probe', '1')
try('DEL', KEYS[3])
return refused
