-- One page of the log behind a revision, with the head, in one answer. zone-protocol 5.
-- KEYS: meta, log, epochs, lease
-- ARGV: after, most bytes, most events, own token, event key prefix, token of what the reader serves
-- -> {head, {event...}}
--    head  = {lineage, epoch token, rev, count, d0, d1, d2, d3, complete, caught, horizon, own, lease, lease seq,
--             polls, unread, accepted, held, above, lag, version}
--    own   = -2 the own token is not among the epochs; -1 it is the newest; else the revision at which the next began
--    above = the revision at which the oldest epoch above the one that is served began; -1 there is none
--    event = {name, revision, id, type, action, updatedAt, zs, payload}
local call = redis.call
-- Redis says which script failed; a person needs to know which key.
local function is_refused(r)
	return type(r) == 'table' and r.err
end
local function refuse(key, r)
	return redis.error_reply('ERR ' .. key .. ': ' .. r.err)
end
local m = redis.pcall('HMGET', KEYS[1], 'lineage', 'rev', 'count', 'd0', 'd1', 'd2', 'd3', 'complete', 'caught', 'horizon',
	'polls', 'unread', 'accepted', 'held', 'lag', 'version')
if is_refused(m) then
	return refuse(KEYS[1], m)
end
for i = 1, 16 do
	m[i] = m[i] or ''
end
local newest = redis.pcall('LINDEX', KEYS[3], -1) or ''
if is_refused(newest) then
	return refuse(KEYS[3], newest)
end
local own, above = -2, -1
local function is_own(entry)
	return ARGV[4] ~= '' and string.sub(entry, 1, #ARGV[4] + 1) == ARGV[4] .. ' '
end
local function epoch_of(entry)
	return tonumber(string.match(entry, '^(%d+):')) or 0
end
if is_own(newest) then
	own = -1
end
if own == -2 or epoch_of(newest) > epoch_of(ARGV[6]) then
	local all = call('LRANGE', KEYS[3], 0, -1)
	for i = 1, #all do
		local began = tonumber(string.match(all[i], ' (%d+)$'))
		if own == -2 and i > 1 and is_own(all[i - 1]) then
			own = began or -2
		end
		if above == -1 and epoch_of(all[i]) > epoch_of(ARGV[6]) then
			above = began or -1
		end
	end
end
local lease = redis.pcall('HMGET', KEYS[4], 'token', 'seq') -- what is no hash is none
local head = {m[1], string.match(newest, '^(%S*)') or '', m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10],
	string.format('%.0f', own), lease[1] or '', lease[2] or '', m[11], m[12], m[13], m[14], string.format('%.0f', above), m[15], m[16]}
local events = {}
local most_bytes, most = tonumber(ARGV[2]), tonumber(ARGV[3])
if most > 0 then
	local bytes = 0
	local page = redis.pcall('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, most)
	if is_refused(page) then
		return refuse(KEYS[2], page)
	end
	for i = 1, #page, 2 do
		-- A key that is no hash is a lost one: h.err, and no fields.
		local h = redis.pcall('HMGET', ARGV[5] .. page[i], 'id', 'type', 'syncAction', 'updatedAt', 'zs', 'payload')
		for f = 1, 6 do
			h[f] = h[f] or ''
		end
		if h[3] ~= 'DEPLOY' then
			h[6] = '' -- the payload of a tombstone is for Java readers
		end
		bytes = bytes + #page[i] + #h[6] + 160
		if #events > 0 and bytes > most_bytes then
			break
		end
		events[#events + 1] = {page[i], page[i + 1], h[1], h[2], h[3], h[4], h[5], h[6]}
	end
end
return {head, events}
