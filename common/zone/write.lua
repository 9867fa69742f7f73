-- Apply one numbered batch, whole or not at all. zone-protocol 3.
-- KEYS: lease, meta, log, cursor, old log (of a refill), the reference's sync state, suspects
-- ARGV: token, number, event key prefix, refs key prefix, wake channel, zone id, operations...
-- An operation is a letter and its fields. `was` is the hash that counts of a name as far as the
-- writer, the only one, knows; '' when none does: what stands there may be damaged or lost.
--   W name hash version kind id ref was payload   write; skipped when equal or of an older version
--   F ...the same...                              write whatever is there: refill, repair
--   T name version kind id ref was                tombstone; version '' = it says nothing of a later write
--   R ...the same...                              and whole, though it is one: repair
--   A name hash                                   what a Java primary left: its hash, unless it was written since
--   K name ref                                    keep during a refill what could not be read
--   C ref limit                                   tombstone children of a reference, `limit` at most
--   P name revision                               forget a tombstone of that revision
--   S count d0 d1 d2 d3                           the sums of what stands there, as the writer read it
--   M field value                                 a field of meta
--   O field value                                 a field of the cursor
--   L lineage                                     a refill begins
--   Y node version                                the reference's sync state: from -1 to now
--   E complete                                    a refill ends: 1; empty: it found nothing
-- -> {'OK', revision, effective, children left, children whose share of the sums is unknown}
--  | {'FENCED', token there} | {'DUP', batch} | {'LOST', batch}
local call = redis.call
local token = call('HGET', KEYS[1], 'token')
if token ~= ARGV[1] then
	return {'FENCED', token or ''}
end
local meta = call('HMGET', KEYS[2], 'batch', 'rev', 'count', 'd0', 'd1', 'd2', 'd3', 'horizon', 'complete')
local batch = tonumber(meta[1] or '0')
local number = tonumber(ARGV[2])
if number <= batch then
	return {'DUP', string.format('%.0f', batch)}
end
if number > batch + 1 then
	return {'LOST', string.format('%.0f', batch)}
end

-- Everything is checked before the first write: a failed script is not rolled back.
local width = {W = 9, F = 9, T = 7, R = 7, A = 3, K = 3, C = 3, P = 3, S = 6, M = 3, O = 3, Y = 3, L = 2, E = 2}
local n = #ARGV
local at = 7
while at <= n do
	local w = width[ARGV[at]]
	local o, fine = ARGV[at], w and at + w - 1 <= n
	if fine and (o == 'W' or o == 'F') then
		fine = #ARGV[at + 2] == 17 and string.byte(ARGV[at + 2], 1) == 68
	elseif fine and o == 'A' then
		fine = #ARGV[at + 2] == 17
	elseif fine and (o == 'C' or o == 'P') then
		fine = tonumber(ARGV[at + 2])
	elseif fine and o == 'S' then
		for i = 1, 5 do
			fine = fine and tonumber(ARGV[at + i])
		end
	end
	if not fine then
		return redis.error_reply('ZONESYNC malformed batch')
	end
	at = at + w
end

local prefix, refs, zone = ARGV[3], ARGV[4], ARGV[6]
-- A reader of the reference looks at a window of this: that of when it can be seen, by one clock.
local time = call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local rev = tonumber(meta[2] or '0')
local first = rev
local count = tonumber(meta[3] or '0')
local d = {tonumber(meta[4] or '0'), tonumber(meta[5] or '0'), tonumber(meta[6] or '0'), tonumber(meta[7] or '0')}
local horizon = tonumber(meta[8] or '0')
local refilling = meta[9] == '0'
local left, unknown = 0, 0
local unpack4 = struct.unpack
local TOMB = 'U' .. string.rep('\0', 16)
local LANE = 4294967296

-- sign 1: the event counts from now on; -1: no longer
local function account(hash, sign)
	if string.byte(hash, 1) ~= 68 or #hash ~= 17 then
		return
	end
	local a, b, c, e = unpack4('>I4I4I4I4', hash, 2)
	d[1] = (d[1] + sign * a) % LANE
	d[2] = (d[2] + sign * b) % LANE
	d[3] = (d[3] + sign * c) % LANE
	d[4] = (d[4] + sign * e) % LANE
	count = count + sign
end

local function number_of(rev)
	return string.format('%.0f', rev)
end

-- The log and the reference sets get their new members together: a command a member costs
-- as much as the hash itself. Whoever looks at them calls settle() first,
-- or look(), which does for what is pending.
local logged, logged_n = {}, 0
local pending = {} -- names in `logged`
local kids = {}    -- ref -> names

local function settle()
	if logged_n > 0 then
		call('ZADD', KEYS[3], unpack(logged, 1, logged_n))
		logged_n = 0
		pending = {}
	end
	for ref, names in pairs(kids) do
		local added = redis.pcall('SADD', refs .. ref, unpack(names))
		if type(added) == 'table' then -- it is no set
			call('DEL', refs .. ref)
			call('SADD', refs .. ref, unpack(names))
		end
		kids[ref] = nil
	end
end

local MANY = 1000 -- members in one command: Lua's stack has an end

local function log(name, at_rev)
	if logged_n >= 2 * MANY then
		settle()
	end
	logged[logged_n + 1] = at_rev
	logged[logged_n + 2] = name
	logged_n = logged_n + 2
	pending[name] = true
end

-- What stands under a name. A key that is no hash is in the way of one, and lost.
local function stored(key)
	local old = redis.pcall('HMGET', key, 'zsHash', 'zsRev', 'zsVer', 'syncAction')
	if old.err then
		call('DEL', key)
		return {}
	end
	return old
end

-- What stands under a name, its score, and whether the two belong together.
local function look(name)
	local old = stored(prefix .. name)
	if pending[name] then
		settle()
	end
	local score = call('ZSCORE', KEYS[3], name)
	return old, score, score and old[2] and tonumber(score) == tonumber(old[2])
end

-- The sums no longer hold what they hold of a name. What was written there says so, whatever has
-- become of it; else what stands there, if it is whole. In a refill the sums began anew, with the log.
local function forget(old, score, equal, was)
	if (equal and old[1] == TOMB and old[4] == 'UNDEPLOY') or (refilling and not score) then
		return
	end
	if was ~= '' then
		account(was, -1)
	elseif equal and old[1] and old[4] == 'DEPLOY' then
		account(old[1], -1)
	end
end

local named = redis.pcall('SCARD', KEYS[7])
if type(named) == 'table' then
	call('DEL', KEYS[7])
	named = 0
end

-- What is written whole is no suspect any more.
local function mended(name)
	if named > 0 then
		call('SREM', KEYS[7], name)
	end
end

-- Versions of a database are numbers and compare; those of files only differ.
local function older(is, was)
	is, was = tonumber(is), tonumber(was or '')
	return is and was and is < was
end

-- A tombstone has every field but the payload: a reader finds it whole, whatever was lost.
local function bury(name, version, kind, id)
	rev = rev + 1
	call('HSET', prefix .. name, 'clusterId', zone, 'id', id, 'type', kind, 'syncAction', 'UNDEPLOY',
		'updatedAt', now, 'zsRev', number_of(rev), 'zsHash', TOMB, 'zsVer', version)
	log(name, number_of(rev))
	mended(name)
end

local function tombstone(at, forced)
	local name, version, ref, was = ARGV[at + 1], ARGV[at + 2], ARGV[at + 5], ARGV[at + 6]
	local old, score, equal = look(name)
	if equal and old[1] == TOMB and not forced then
		if version ~= '' and version ~= old[3] and not older(version, old[3]) then
			call('HSET', prefix .. name, 'zsVer', version)
		end
		return
	end
	if not old[4] and not score and (refilling or was == '') then
		return -- never heard of it
	end
	forget(old, score, equal, was)
	bury(name, version, ARGV[at + 3], ARGV[at + 4])
	if ref ~= '' then
		redis.pcall('SREM', refs .. ref, name)
	end
end

local function write(at, forced)
	local name, hash, version, ref = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 6]
	local key = prefix .. name
	local old = stored(key)
	local score, equal
	if old[2] or (refilling and ARGV[at + 7] ~= '') then -- else nothing of it is needed
		if pending[name] then
			settle()
		end
		score = call('ZSCORE', KEYS[3], name)
		equal = score and old[2] and (score == old[2] or tonumber(score) == tonumber(old[2]))
	end
	if not forced and equal then
		-- Above a tombstone, or what lags would bring back what was withdrawn.
		if older(version, old[3]) or (old[1] == TOMB and tonumber(version) and tonumber(version) == tonumber(old[3] or '')) then
			return
		end
		if old[1] == hash then
			if old[3] ~= version then
				call('HSET', key, 'zsVer', version)
			end
			return
		end
	end
	forget(old, score, equal, ARGV[at + 7])
	account(hash, 1)
	rev = rev + 1
	local at_rev = number_of(rev)
	-- All of it: whatever is damaged is mended by the way.
	call('HSET', key, 'clusterId', zone, 'id', ARGV[at + 5], 'payload', ARGV[at + 8], 'type', ARGV[at + 4],
		'syncAction', 'DEPLOY', 'updatedAt', now, 'zsRev', at_rev, 'zsHash', hash, 'zsVer', version)
	log(name, at_rev)
	mended(name)
	if ref ~= '' and not (equal and not forced and string.byte(old[1] or '', 1) == 68) then
		local names = kids[ref]
		if not names then
			names = {}
			kids[ref] = names
		end
		names[#names + 1] = name
	end
end

local op = {}
op.W = function(at)
	write(at, false)
end
op.F = function(at)
	write(at, true)
end
op.T = function(at)
	tombstone(at, false)
end
op.R = function(at)
	tombstone(at, true)
end
op.A = function(at)
	settle()
	local name, hash = ARGV[at + 1], ARGV[at + 2]
	local action = stored(prefix .. name)[4]
	-- What the log holds is ours; and the hash must be of what stands there.
	if action and string.byte(action, 1) == string.byte(hash, 1) and not call('ZSCORE', KEYS[3], name) then
		call('HSET', prefix .. name, 'zsHash', hash, 'zsVer', '')
	end
end
op.K = function(at)
	settle()
	local name, ref = ARGV[at + 1], ARGV[at + 2]
	local old, score = look(name)
	if score or not old[1] then
		return
	end
	account(old[1], 1)
	rev = rev + 1
	call('HSET', prefix .. name, 'zsRev', number_of(rev))
	call('ZADD', KEYS[3], number_of(rev), name)
	if ref ~= '' and string.byte(old[1], 1) == 68 then
		call('SADD', refs .. ref, name)
	end
end
op.C = function(at)
	settle()
	local ref = ARGV[at + 1]
	local key, skip = refs .. ref, #ref + 6 -- behind "API:<ref>:"
	local names = redis.pcall('SRANDMEMBER', key, tonumber(ARGV[at + 2]))
	if names.err then
		call('DEL', key)
		names, unknown = {}, unknown + 1
	end
	for i = 1, #names do
		local name = names[i]
		local old, score, equal = look(name)
		local kind, id = string.match(string.sub(name, skip), '^([^:]+):(.+)$')
		if kind and (old[4] or score) and not (equal and old[1] == TOMB) then
			if score and not (equal and old[1] and #old[1] == 17 and old[4] == 'DEPLOY') then
				unknown = unknown + 1
			end
			forget(old, score, equal, '')
			-- Of no version: what it was made from says nothing of its reference, which may come back.
			bury(name, '', kind, id)
		end
	end
	for i = 1, #names, MANY do
		call('SREM', key, unpack(names, i, math.min(i + MANY - 1, #names)))
	end
	left = call('SCARD', key)
end
op.P = function(at)
	settle()
	local name, at_rev = ARGV[at + 1], tonumber(ARGV[at + 2])
	local old, score = look(name)
	if score and tonumber(score) == at_rev and old[1] == TOMB then
		call('ZREM', KEYS[3], name)
		call('DEL', prefix .. name)
		horizon = math.max(horizon, at_rev)
	end
end
op.S = function(at)
	count = tonumber(ARGV[at + 1])
	for i = 1, 4 do
		d[i] = tonumber(ARGV[at + 1 + i])
	end
	mended('*')
end
op.M = function(at)
	call('HSET', KEYS[2], ARGV[at + 1], ARGV[at + 2])
end
op.O = function(at)
	call('HSET', KEYS[4], ARGV[at + 1], ARGV[at + 2])
end
op.Y = function(at)
	call('HSET', KEYS[6], 'clusterId', zone, 'nodeId', ARGV[at + 1], 'nodeVersion', ARGV[at + 2], 'from', '-1', 'to', now)
end
op.L = function(at)
	settle()
	-- The digest is built anew from an empty log; what the old one named is kept aside until
	-- the end, so that a crash in the middle forgets nobody.
	if call('EXISTS', KEYS[3]) == 1 then
		if call('EXISTS', KEYS[5]) == 1 then
			-- the greater score: a sum could meet another member's
			call('ZUNIONSTORE', KEYS[5], 2, KEYS[5], KEYS[3], 'AGGREGATE', 'MAX')
			call('DEL', KEYS[3])
		else
			call('RENAME', KEYS[3], KEYS[5])
		end
	end
	call('DEL', KEYS[4])
	count = 0
	d = {0, 0, 0, 0}
	horizon = rev
	refilling = true
	call('HSET', KEYS[2], 'lineage', ARGV[at + 1], 'complete', '0', 'caught', '', 'version', '1')
end
op.E = function(at)
	settle()
	refilling = false
	call('DEL', KEYS[5], KEYS[7]) -- what is all new holds no damage
	call('HSET', KEYS[2], 'complete', ARGV[at + 1])
end

at = 7
while at <= n do
	op[ARGV[at]](at)
	at = at + width[ARGV[at]]
end
settle()
call('HSET', KEYS[2], 'batch', ARGV[2], 'rev', number_of(rev), 'count', number_of(count),
	'd0', number_of(d[1]), 'd1', number_of(d[2]), 'd2', number_of(d[3]), 'd3', number_of(d[4]),
	'horizon', number_of(horizon))
-- Last, and its result ignored: a user without the channel must not see half a batch stay.
redis.pcall('PUBLISH', ARGV[5], number_of(rev))
return {'OK', number_of(rev), rev - first, left, unknown}
