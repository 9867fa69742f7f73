-- Give the lease back and wake the candidates. zone-protocol 2.
-- KEYS: lease   ARGV: token, wake channel   -> {'FREE'} | {'LOST'}
if redis.pcall('HGET', KEYS[1], 'token') ~= ARGV[1] then
	return {'LOST'}
end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[2], 'free')
return {'FREE'}
