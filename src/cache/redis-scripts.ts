// One group is one hash: its fence, and the values by name. Both scripts name all the keys they touch, for a cluster.

/**
 * KEYS group; ARGV fence as known, fence for a new group, name, value, milliseconds a group lives, names at most.
 * Answers the fence that the group has, which is another than the known one where nothing was kept.
 */
export const writeScript = `
local fence = redis.call('hget', KEYS[1], 'fence')
if (fence or '') ~= ARGV[1] then return fence or '' end
if not fence then
  fence = ARGV[2]
  redis.call('hset', KEYS[1], 'fence', fence, ARGV[3], ARGV[4])
  redis.call('pexpire', KEYS[1], ARGV[5])
elseif redis.call('hexists', KEYS[1], ARGV[3]) == 1 or redis.call('hlen', KEYS[1]) <= tonumber(ARGV[6]) then
  redis.call('hset', KEYS[1], ARGV[3], ARGV[4])
end
return fence`

/**
 * KEYS group; ARGV the new fence, milliseconds it stands. Answers how many values there were. The fence stays behind, so
 * that who began to write before is refused also where there was no group.
 */
export const dropScript = `
local kind = redis.call('type', KEYS[1])['ok']
local held = kind == 'hash' and redis.call('hlen', KEYS[1]) - 1 or 0
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], 'fence', ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
return math.max(held, 0)`
