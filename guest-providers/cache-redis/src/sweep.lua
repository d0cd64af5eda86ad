-- Takes names out of an index where their entries no longer belong there, and
-- looks and takes as one: an entry that is set meanwhile keeps its name.
--
-- KEYS: the index of all entries; the index that is swept, which is the same one
--       or that of a tag; then the entries whose names were found there.
-- ARGV: the tag between two bytes 255, or nothing for the index of all;
--       "clear" if entries that carry the tag are to go with their names.
local all, swept = KEYS[1], KEYS[2]
local tag, clear = ARGV[1], ARGV[2] == 'clear'
-- "k:" is as long as "v:", so the name of an entry begins where the key of the
-- index ends.
local begins = #all + 1

-- Whether the tag is in the entry, as far as byte `last` tells.
local function carries(entry, last)
  local head = redis.pcall('GETRANGE', entry, 10, last)
  if type(head) ~= 'string' then
    return false
  end
  -- The tags stand from byte 10 up to the first byte 254.
  local ends = string.find(head, '\254', 1, true)
  if not ends then
    return nil
  end
  local at = string.find(head, tag, 1, true)
  return at ~= nil and at < ends
end

local function belongs(entry)
  if tag == '' then
    return redis.call('EXISTS', entry) == 1
  end
  -- Mostly the tags are few.
  local there = carries(entry, 127)
  if there == nil then
    there = carries(entry, 66559)
  end
  return there == true
end

local cleared, entries, gone = {}, {}, {}
for at = 3, #KEYS do
  local name = string.sub(KEYS[at], begins)
  local there = belongs(KEYS[at])
  if there and clear then
    entries[#entries + 1] = KEYS[at]
    cleared[#cleared + 1] = name
  end
  if clear or not there then
    gone[#gone + 1] = name
  end
end
if #entries > 0 then
  redis.call('UNLINK', unpack(entries))
  redis.call('ZREM', all, unpack(cleared))
end
if #gone > 0 then
  redis.call('ZREM', swept, unpack(gone))
end
return #gone
