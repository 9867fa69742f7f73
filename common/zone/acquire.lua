-- Take the zone lease. zone-protocol 2.
-- KEYS: lease, meta, epochs
-- ARGV: nonce, ttl ms (0: only look), holder, major of the format, pattern of our keys, token and seq to break ('' = none), earlier nonces of this node...
-- -> {'HELD', token} | {'NEWER', version} | {'FREE'} | {'BUSY', token, seq, remaining ms, stored ttl, holder}
local meta = redis.pcall('HMGET', KEYS[2], 'epoch', 'rev', 'version')
local damaged = meta.err -- no hash
if damaged then
	meta = {}
end
local major = tonumber(string.match(meta[3] or '', '^%d+') or '')
if major and major > tonumber(ARGV[4]) then
	return {'NEWER', meta[3]}
end
local held = redis.pcall('HMGET', KEYS[1], 'token', 'seq', 'ttl', 'holder')
local token = held[1] -- nil: what stands there is no lease
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
	local ours = ARGV[6] ~= '' and token == ARGV[6] and held[2] == ARGV[7]
	for i = 8, #ARGV do
		if nonce == ARGV[i] then
			ours = true
		end
	end
	if look or not ours then
		return {'BUSY', token, held[2] or '', redis.call('PTTL', KEYS[1]), held[3] or '', held[4] or ''}
	end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch = math.max(tonumber(meta[1] or '0') or 0, now) + 1
local mine = string.format('%.0f', epoch) .. ':' .. ARGV[1]
-- A full Redis denies a script only its first write, and never this one: all of it is done.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', mine, 'seq', 1, 'ttl', ARGV[2], 'holder', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if damaged or (major and major < tonumber(ARGV[4])) then
	-- Of a format that is no more, or damaged: what stands beside the events goes, and is made anew.
	local cursor = '0'
	repeat
		local page = redis.call('SCAN', cursor, 'MATCH', ARGV[5], 'COUNT', 1000)
		cursor = page[1]
		for _, key in ipairs(page[2]) do
			if key ~= KEYS[1] then
				redis.call('DEL', key)
			end
		end
	until cursor == '0'
	meta[2] = '0'
end
redis.call('HSET', KEYS[2], 'epoch', string.format('%.0f', epoch), 'token', mine, 'batch', 0)
local entry = mine .. ' ' .. (meta[2] or '0')
if type(redis.pcall('RPUSH', KEYS[3], entry)) == 'table' then -- no list
	redis.call('DEL', KEYS[3])
	redis.call('RPUSH', KEYS[3], entry)
end
redis.call('LTRIM', KEYS[3], -1000, -1)
return {'HELD', mine}
