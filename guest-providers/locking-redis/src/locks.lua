#!lua
-- The table of locks. One call is one step: nobody sees half of it. What the
-- keys hold is said in keys.rs, what is asked and answered in table.rs.
--
-- KEYS: the ten of the table, whatever is locked.
-- ARGV: the operation, the instances of the runtime that asks, then what it says.
local FENCE, HELD, LEASES, OWNERS, ENDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local WATCHED, QUEUE, TICKETS, SEEN, NEWS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local call = redis.call

-- A ticket that is not asked after for so long is given up, in milliseconds.
local SILENCE = 30000
-- So long an answer may be on its way to who has asked.
local IN_FLIGHT = 15000
-- The most that has ended by itself and is dealt with by one call, and the most
-- arguments of one command.
local PAGE, MOST = 500, 1000

local time = call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

-- What was read is kept; what has changed is written at the end, each table by
-- one command. Only what concerns those who wait is written at once.
local holders, new_holders, leases, new_leases = {}, {}, {}, {}
local owned, ends = {}, {}
local fence
local waiting = call('HLEN', TICKETS)
local watched = call('EXISTS', WATCHED) == 1
local woken, told, nudge, more = {}, {}, false, false

local at = 1
local function next_argument()
  at = at + 1
  return ARGV[at]
end
local function next_number()
  return tonumber(next_argument())
end
local function next_list()
  local list = {}
  for n = 1, next_number() do
    list[n] = next_argument()
  end
  return list
end

local function whole(number)
  return string.format('%.0f', number)
end

-- A ticket begins with the 16 digits of the instance that it is from.
local here = {}
for _, instance in ipairs(next_list()) do
  here[instance] = true
end

-- Larger than every one before it: also where the server has lost some, as long
-- as its clock goes on.
local function next_fence()
  fence = math.max((fence or tonumber(call('GET', FENCE) or '0')) + 1, micros)
  return fence
end

local function look_up(keys)
  for from = 1, #keys, MOST do
    local till = math.min(from + MOST - 1, #keys)
    local found = call('HMGET', HELD, unpack(keys, from, till))
    for n = from, till do
      holders[keys[n]] = found[n - from + 1]
    end
  end
end

local function read_lease(id, packed)
  if not packed then
    leases[id] = false
    return
  end
  local fields = cmsgpack.unpack(packed)
  leases[id] = {
    fence = fields[1], ends = fields[2], owner = fields[3], broken = fields[4], keys = fields[5],
  }
end

local function look_up_leases(ids)
  for from = 1, #ids, MOST do
    local till = math.min(from + MOST - 1, #ids)
    local found = call('HMGET', LEASES, unpack(ids, from, till))
    for n = from, till do
      read_lease(ids[n], found[n - from + 1])
    end
  end
end

local function lease_of(id)
  if leases[id] == nil then
    read_lease(id, call('HGET', LEASES, id))
  end
  return leases[id]
end

local function holder_of(key)
  if holders[key] == nil then
    holders[key] = call('HGET', HELD, key)
  end
  return holders[key]
end

local function hold(key, id)
  holders[key], new_holders[key] = id, id
end

local function put_lease(id, lease)
  leases[id], new_leases[id] = lease, lease
  ends[id] = lease and lease.ends
end

local function is_over(lease)
  return lease.ends and lease.ends <= now
end

local function own_place(owner, key)
  return owner .. '\0' .. key
end

-- Where a key's queue stands: its length first, so that no key begins another.
local function queue_of(key)
  return string.format('%04d', #key) .. key
end

-- Who is in front of a key's queue; none if nobody waits for it.
local function front(key)
  if waiting == 0 then
    return nil
  end
  local queue = queue_of(key)
  local first = call('ZRANGEBYLEX', QUEUE, '[' .. queue, '[' .. queue .. '\255', 'LIMIT', 0, 1)[1]
  -- Behind the key stands the number of the place, 16 digits, then the ticket.
  return first and string.sub(first, #queue + 17)
end

local function ticket_of(id)
  local packed = call('HGET', TICKETS, id)
  if not packed then
    return nil
  end
  local fields = cmsgpack.unpack(packed)
  return { place = fields[1], ttl = fields[2], owner = fields[3], keys = fields[4] }
end

-- Has those who wait look when this lease ends.
local function watch(id, lease)
  if lease.ends then
    call('ZADD', WATCHED, lease.ends, id)
    watched = true
  end
end

-- Takes a key from a lease, which ends with the last one.
local function strip(id, key)
  local lease, keys = lease_of(id), {}
  if not lease then
    return
  end
  for _, held in ipairs(lease.keys) do
    if held ~= key then
      keys[#keys + 1] = held
    end
  end
  owned[own_place(lease.owner, key)] = false
  if #keys == 0 then
    put_lease(id, false)
  else
    lease.keys, lease.broken = keys, true
    put_lease(id, lease)
  end
end

-- Leases keys that are free or the owner's own.
local function grant(id, keys, owner, ttl)
  for _, key in ipairs(keys) do
    local before = holder_of(key)
    if before then
      strip(before, key)
    end
    hold(key, id)
    owned[own_place(owner, key)] = true
  end
  local lease =
    { fence = next_fence(), ends = ttl and now + ttl, owner = owner, broken = false, keys = keys }
  put_lease(id, lease)
  return lease
end

local function leave_queue(id, ticket)
  local places = {}
  for n, key in ipairs(ticket.keys) do
    places[n] = queue_of(key) .. ticket.place .. id
  end
  call('ZREM', QUEUE, unpack(places))
  call('HDEL', TICKETS, id)
  waiting = waiting - 1
end

local finish

-- Whose a key is towards this owner: 'free', 'own' or 'taken'. Who is in front of
-- the queue may ask for itself.
local function state(key, owner, asks)
  local id = holder_of(key)
  local lease = id and lease_of(id)
  if lease and is_over(lease) then
    finish(id)
    return state(key, owner, asks)
  end
  if lease then
    return (owner ~= '' and lease.owner == owner) and 'own' or 'taken'
  end
  local first = front(key)
  return (first == nil or first == asks) and 'free' or 'taken'
end

local function is_next(id, ticket)
  for _, key in ipairs(ticket.keys) do
    if front(key) ~= id or state(key, ticket.owner, id) == 'taken' then
      return false
    end
  end
  return true
end

-- Grants whoever can be, now that something has changed about these keys.
local function pass_on(changed)
  while waiting > 0 and #changed > 0 do
    local id = front(table.remove(changed))
    local ticket = id and ticket_of(id)
    -- What has expired may have passed to it while that was found out.
    if ticket and is_next(id, ticket) and ticket_of(id) then
      leave_queue(id, ticket)
      local lease = grant(id, ticket.keys, ticket.owner, ticket.ttl)
      if here[string.sub(id, 1, 16)] then
        told[#told + 1] = id
        call('ZREM', SEEN, id)
        call('ZADD', SEEN, now + IN_FLIGHT, ':' .. id)
      else
        call('ZADD', SEEN, now + SILENCE, id)
        woken[#woken + 1] = id
      end
      for _, key in ipairs(ticket.keys) do
        -- The next in line may be the same owner, who need not wait.
        changed[#changed + 1] = key
      end
      watch(id, lease)
    end
  end
end

-- Ends a lease and passes its keys on.
finish = function(id)
  local lease, freed = lease_of(id), {}
  if not lease then
    return
  end
  for n, key in ipairs(lease.keys) do
    hold(key, false)
    owned[own_place(lease.owner, key)] = false
    freed[n] = key
  end
  put_lease(id, false)
  pass_on(freed)
end

local function give_up(id)
  local ticket = ticket_of(id)
  call('ZREM', SEEN, id)
  if ticket then
    leave_queue(id, ticket)
    pass_on(ticket.keys)
  else
    finish(id)
  end
end

-- Ends what has expired and what nobody asks after any more.
local function sweep()
  local over = call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, PAGE)
  if #over > 0 then
    look_up_leases(over)
  end
  for _, id in ipairs(over) do
    local lease = lease_of(id)
    if not lease then
      ends[id] = false
    elseif is_over(lease) then
      finish(id)
    end
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', now, 'LIMIT', 0, PAGE)) do
    if string.sub(id, 1, 1) == ':' then
      call('ZREM', SEEN, id)
    else
      give_up(id)
    end
  end
  if watched then
    call('ZREMRANGEBYSCORE', WATCHED, '-inf', now)
  end
  more = #over == PAGE
end

local function next_due()
  if more or not watched then
    return more and '0' or ''
  end
  local first = call('ZRANGE', WATCHED, 0, 0, 'WITHSCORES')
  return first[2] and whole(math.max(first[2] - now, 0)) or ''
end

local answers = {}
local function answer(text)
  answers[#answers + 1] = text
end

local operations = {}

local function acquire(id, owner, ttl, may_wait, keys, most_waiting)
  local taken, own
  for _, key in ipairs(keys) do
    local its = state(key, owner)
    own = own or its == 'own'
    taken = taken or (its == 'taken' and key)
  end
  if not taken then
    local lease = grant(id, keys, owner, ttl)
    if own and waiting > 0 then
      watch(id, lease)
    end
    return 'granted', whole(lease.fence)
  elseif not may_wait then
    return 'taken', taken
  elseif own then
    return 'own', taken
  elseif waiting >= most_waiting then
    return 'full', ''
  end
  local place, places = string.format('%016.0f', next_fence()), {}
  for _, key in ipairs(keys) do
    places[#places + 1] = 0
    places[#places + 1] = queue_of(key) .. place .. id
    local holder = holder_of(key)
    local lease = holder and lease_of(holder)
    if lease then
      watch(holder, lease)
    end
  end
  call('ZADD', QUEUE, unpack(places))
  call('HSET', TICKETS, id, cmsgpack.pack({ place, ttl, owner, keys }))
  call('ZADD', SEEN, now + SILENCE, id)
  waiting = waiting + 1
  return 'queued', ''
end

function operations.acquire()
  local most_waiting = next_number()
  local requests, all = {}, {}
  for n = 1, next_number() do
    local request = { next_argument(), next_argument(), next_number() or false, next_argument() }
    request[5] = next_list()
    requests[n] = request
    for _, key in ipairs(request[5]) do
      all[#all + 1] = key
    end
  end
  look_up(all)
  sweep()
  for _, request in ipairs(requests) do
    local id, owner, ttl, may_wait, keys = unpack(request)
    local became, detail = acquire(id, owner, ttl, may_wait == '1', keys, most_waiting)
    answer(became)
    answer(detail)
  end
  answer(next_due())
end

function operations.release()
  local ids, lost = next_list(), {}
  look_up_leases(ids)
  sweep()
  for _, id in ipairs(ids) do
    local lease = lease_of(id)
    if not lease or lease.broken or is_over(lease) then
      lost[#lost + 1] = id
    end
    finish(id)
  end
  answer(tostring(#lost))
  for _, id in ipairs(lost) do
    answer(id)
  end
end

function operations.extend()
  sweep()
  for _ = 1, next_number() do
    local id, ttl = next_argument(), next_number() or false
    local lease = lease_of(id)
    if not lease or lease.broken or is_over(lease) then
      answer(id)
    else
      local before = lease.ends
      lease.ends = ttl and now + ttl
      put_lease(id, lease)
      local waits = false
      for _, key in ipairs(lease.keys) do
        waits = waits or front(key) ~= nil
      end
      if waits then
        if lease.ends then
          watch(id, lease)
        else
          call('ZREM', WATCHED, id)
        end
        -- Sooner than those think who wait in other processes.
        nudge = nudge or (lease.ends and (not before or lease.ends < before))
      end
    end
  end
end

operations['release-keys'] = function()
  sweep()
  local owner, freed = next_argument(), 0
  for _, key in ipairs(next_list()) do
    local id = holder_of(key)
    local lease = id and lease_of(id)
    if lease and is_over(lease) then
      finish(id)
    elseif lease and lease.owner == owner then
      freed = freed + 1
      hold(key, false)
      strip(id, key)
      pass_on({ key })
    end
  end
  answer(tostring(freed))
end

operations['release-all'] = function()
  sweep()
  local owner, freed, ids, seen = next_argument(), 0, {}, {}
  -- What is freed may pass to somebody else of this owner, who keeps it.
  for _, place in ipairs(call('ZRANGEBYLEX', OWNERS, '[' .. owner .. '\0', '(' .. owner .. '\1')) do
    local id = holder_of(string.sub(place, #owner + 2))
    if id and not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  for _, id in ipairs(ids) do
    local lease = lease_of(id)
    if lease and lease.owner == owner then
      freed = freed + (is_over(lease) and 0 or #lease.keys)
      finish(id)
    end
  end
  answer(tostring(freed))
end

function operations.poll()
  sweep()
  local ids = next_list()
  for _, id in ipairs(ids) do
    local lease = lease_of(id)
    if call('HEXISTS', TICKETS, id) == 1 then
      call('ZADD', SEEN, 'XX', now + SILENCE, id)
    elseif not lease or lease.broken or is_over(lease) then
      call('ZREM', SEEN, id)
      answer(id)
      answer('')
    elseif call('ZREM', SEEN, id) == 1 or not call('ZSCORE', SEEN, ':' .. id) then
      -- Once: whoever else asks now waits for the answer that is on its way. If it
      -- is lost there, it is given again.
      call('ZADD', SEEN, now + IN_FLIGHT, ':' .. id)
      answer(id)
      answer(whole(lease.fence))
    end
  end
  answer(next_due())
  local last = call('XREVRANGE', NEWS, '+', '-', 'COUNT', 1)[1]
  answer(last and last[1] or '0-0')
end

function operations.abandon()
  sweep()
  for _, id in ipairs(next_list()) do
    give_up(id)
  end
end

local function show(key)
  local id = holder_of(key)
  local lease = id and lease_of(id)
  if not lease or is_over(lease) then
    for _ = 1, 4 do
      answer('')
    end
    return
  end
  local queue = queue_of(key)
  answer(whole(lease.fence))
  answer(lease.owner)
  answer(lease.ends and whole(lease.ends - now) or '')
  answer(whole(call('ZLEXCOUNT', QUEUE, '[' .. queue, '[' .. queue .. '\255')))
end

function operations.inspect()
  sweep()
  local keys = next_list()
  look_up(keys)
  for _, key in ipairs(keys) do
    show(key)
  end
end

-- Whether there is more.
function operations.sweep()
  sweep()
  answer(more and '1' or '0')
end

-- Changes to a hash or a sorted set: pairs that are put, and names that go.
local function write(put, puts, remove, removes)
  for from = 1, #puts, MOST do
    call(put[1], put[2], unpack(puts, from, math.min(from + MOST - 1, #puts)))
  end
  for from = 1, #removes, MOST do
    call(remove[1], remove[2], unpack(removes, from, math.min(from + MOST - 1, #removes)))
  end
end

local function write_all()
  if fence then
    call('SET', FENCE, whole(fence))
  end
  local puts, removes = {}, {}
  for key, id in pairs(new_holders) do
    if id then
      puts[#puts + 1] = key
      puts[#puts + 1] = id
    else
      removes[#removes + 1] = key
    end
  end
  write({ 'HSET', HELD }, puts, { 'HDEL', HELD }, removes)
  puts, removes = {}, {}
  for id, lease in pairs(new_leases) do
    if lease then
      puts[#puts + 1] = id
      puts[#puts + 1] =
        cmsgpack.pack({ lease.fence, lease.ends, lease.owner, lease.broken, lease.keys })
    else
      removes[#removes + 1] = id
    end
  end
  write({ 'HSET', LEASES }, puts, { 'HDEL', LEASES }, removes)
  if watched and #removes > 0 then
    write({ 'ZADD', WATCHED }, {}, { 'ZREM', WATCHED }, removes)
  end
  puts, removes = {}, {}
  for place, is in pairs(owned) do
    if is then
      puts[#puts + 1] = 0
      puts[#puts + 1] = place
    else
      removes[#removes + 1] = place
    end
  end
  write({ 'ZADD', OWNERS }, puts, { 'ZREM', OWNERS }, removes)
  puts, removes = {}, {}
  for id, moment in pairs(ends) do
    if moment then
      puts[#puts + 1] = moment
      puts[#puts + 1] = id
    else
      removes[#removes + 1] = id
    end
  end
  write({ 'ZADD', ENDS }, puts, { 'ZREM', ENDS }, removes)
end

operations[ARGV[1]]()
write_all()
-- Who waits in the runtime that asks is told with this answer, and nobody of them in
-- the news. What one was granted may have gone to the next of the same owner.
local turns = {}
if #told > 0 then
  turns[1] = next_due()
end
for n, id in ipairs(told) do
  local lease = lease_of(id)
  turns[2 * n] = id
  turns[2 * n + 1] = lease and not lease.broken and whole(lease.fence) or ''
end
if #woken > 0 or nudge then
  local news = {}
  for n, id in ipairs(woken) do
    news[2 * n - 1], news[2 * n] = 't', id
  end
  if nudge then
    news[#news + 1] = 'n'
    news[#news + 1] = ''
  end
  for from = 1, #news, MOST do
    call('XADD', NEWS, 'MAXLEN', '~', 1000, '*', unpack(news, from, math.min(from + MOST - 1, #news)))
  end
end
return { answers, turns }
