-- Take the zone lease. zone-protocol 2.
-- KEYS: lease, meta, epochs
-- ARGV: nonce, ttl ms (0: only look), holder, token and seq to break ('' = none), earlier nonces of this node...
-- -> {'HELD', token} | {'FREE'} | {'BUSY', token, seq, remaining ms, stored ttl, holder}
local held = redis.call('HMGET', KEYS[1], 'token', 'seq', 'ttl', 'holder')
local token = held[1]
local look = ARGV[2] == '0'
if look and not token then
	return {'FREE'}
end
if token then
	local nonce = string.match(token, '^%d+:(.*)$')
	if nonce == ARGV[1] and not look then
		-- the answer to an earlier try of ours was lost
		redis.call('PEXPIRE', KEYS[1], ARGV[2]) -- first: see renew.lua
		redis.call('HINCRBY', KEYS[1], 'seq', 1)
		return {'HELD', token}
	end
	local ours = ARGV[4] ~= '' and token == ARGV[4] and held[2] == ARGV[5]
	for i = 6, #ARGV do
		if nonce == ARGV[i] then
			ours = true
		end
	end
	if look or not ours then
		return {'BUSY', token, held[2] or '', redis.call('PTTL', KEYS[1]), held[3] or '', held[4] or ''}
	end
end
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'rev')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch = math.max(tonumber(meta[1] or '0') or 0, now) + 1
local mine = string.format('%.0f', epoch) .. ':' .. ARGV[1]
-- A full Redis denies a script only its first write, and never this one: all of it is done.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', mine, 'seq', 1, 'ttl', ARGV[2], 'holder', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'epoch', string.format('%.0f', epoch), 'batch', 0)
redis.call('RPUSH', KEYS[3], mine .. ' ' .. (meta[2] or '0'))
redis.call('LTRIM', KEYS[3], -1000, -1)
return {'HELD', mine}
