-- One step over all keys: what Gravitee gateways of any release and zone left in this Redis. For `zonesync doctor`.
-- KEYS: none   ARGV: cursor, most keys
-- -> {cursor, keys without a cluster id, {{cluster id, events, deployed, last written}...}, {{cluster id, node, version, to}...}}
local call = redis.call
local page = call('SCAN', ARGV[1], 'MATCH', 'distributed_*', 'COUNT', tonumber(ARGV[2]))
local old, zones, order, states = 0, {}, {}, {}
for _, key in ipairs(page[2]) do
	local kind = redis.pcall('TYPE', key) -- an ACL may hide a key that only begins like the reference's
	if kind.ok ~= 'hash' then
		-- none of the reference's
	elseif string.sub(key, 1, 18) == 'distributed_event:' then
		local h = call('HMGET', key, 'clusterId', 'syncAction', 'updatedAt')
		if h[1] then
			local z = zones[h[1]]
			if not z then
				z = {0, 0, 0}
				zones[h[1]] = z
				order[#order + 1] = h[1]
			end
			z[1] = z[1] + 1
			z[2] = z[2] + (h[2] == 'DEPLOY' and 1 or 0)
			z[3] = math.max(z[3], tonumber(h[3] or '') or 0)
		else
			old = old + 1
		end
	elseif string.sub(key, 1, 23) == 'distributed_sync_state:' then
		local h = call('HMGET', key, 'nodeId', 'nodeVersion', 'to')
		states[#states + 1] = {string.sub(key, 24), h[1] or '', h[2] or '', h[3] or ''}
	end
end
local out = {}
for _, id in ipairs(order) do
	local z = zones[id]
	out[#out + 1] = {id, z[1], z[2], string.format('%.0f', z[3])}
end
return {page[1], old, out, states}
