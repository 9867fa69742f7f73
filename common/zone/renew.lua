-- Renew the lease; never creates it. zone-protocol 2.
-- KEYS: lease   ARGV: token, ttl ms   -> {'HELD', token} | {'LOST', token there or ''}
local token = redis.pcall('HGET', KEYS[1], 'token')
if token ~= ARGV[1] then
	return {'LOST', type(token) == 'string' and token or ''} -- else there is none, or no lease
end
-- First, since a full Redis denies a script only its first write, and never this one.
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HSET', KEYS[1], 'ttl', ARGV[2])
return {'HELD', token}
