-- Name damaged keys to the primary, which mends them. zone-protocol 1.
-- KEYS: suspects   ARGV: most of them, names...
-- -> how many there are
local named = redis.pcall('SCARD', KEYS[1])
if type(named) == 'table' then -- Redis says which script failed, not which key
	return redis.error_reply('ERR ' .. KEYS[1] .. ': ' .. named.err)
end
for i = 2, #ARGV do
	if named >= tonumber(ARGV[1]) then
		break -- what is left is found again when those are mended
	end
	named = named + redis.call('SADD', KEYS[1], ARGV[i])
end
return named
