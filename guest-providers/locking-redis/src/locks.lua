-- The table of locks. One call is one step: nobody sees half of it. What the
-- keys hold is said in keys.rs, what is asked and answered in table.rs.
--
-- KEYS: the ten of the table, whatever is locked.
-- ARGV: the operation, the instances of the runtime that asks, then what it says.
-- A first line with what the server is to allow is put before this by table.rs.
local FENCE, HELD, LEASES, OWNERS, ENDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local WATCHED, QUEUE, TICKETS, SEEN, NEWS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]

-- A ticket that is not asked after for so long is given up, in milliseconds.
local SILENCE = 30000
-- So long an answer may be on its way to who has asked.
local IN_FLIGHT = 15000
-- So long a request may still come that was given up: what a connection had taken is
-- sent on though nobody waits for its answer.
local LATE = 120000
-- The most that has ended by itself and is dealt with by one call, and the most
-- arguments of one command.
local PAGE, MOST = 500, 1000

local call = redis.call
local time = call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

-- What this call knows, and what it can do. All of it stands in one table, since the
-- functions are made anew by each call: with a local for each, which every function
-- binds that names it, that took a quarter of a call for one lock.
--
-- What was read is kept; what has changed is written at the end, each table by
-- one command. Only what concerns those who wait is written at once.
local T = {
  holders = {}, new_holders = {}, leases = {}, new_leases = {}, owned = {},
  waiting = call('HLEN', TICKETS),
  woken = {}, told = {}, nudge = false, more = false,
  at = 1, answers = {}, here = {},
}

function T.next_argument()
  T.at = T.at + 1
  return ARGV[T.at]
end

function T.next_number()
  return tonumber(T.next_argument())
end

function T.next_list()
  local list, at = {}, T.at + 1
  local count = tonumber(ARGV[at])
  for n = 1, count do
    list[n] = ARGV[at + n]
  end
  T.at = at + count
  return list
end

-- As text: the server writes a number as a fraction, which costs more.
function T.whole(number)
  return string.format('%d', number)
end

function T.answer(text)
  T.answers[#T.answers + 1] = text
end

-- Larger than every one before it: also where the server has lost some, as long
-- as its clock goes on.
function T.next_fence()
  T.fence = math.max((T.fence or tonumber(call('GET', FENCE) or '0')) + 1, micros)
  return T.fence
end

function T.look_up(keys)
  for from = 1, #keys, MOST do
    local till = math.min(from + MOST - 1, #keys)
    local found = call('HMGET', HELD, unpack(keys, from, till))
    for n = from, till do
      T.holders[keys[n]] = found[n - from + 1]
    end
  end
end

function T.read_lease(id, packed)
  if not packed then
    T.leases[id] = false
    return
  end
  local fields = cmsgpack.unpack(packed)
  T.leases[id] = {
    fence = fields[1], ends = fields[2], owner = fields[3], broken = fields[4], keys = fields[5],
  }
end

function T.look_up_leases(ids)
  for from = 1, #ids, MOST do
    local till = math.min(from + MOST - 1, #ids)
    local found = call('HMGET', LEASES, unpack(ids, from, till))
    for n = from, till do
      T.read_lease(ids[n], found[n - from + 1])
    end
  end
end

function T.lease_of(id)
  if T.leases[id] == nil then
    T.read_lease(id, call('HGET', LEASES, id))
  end
  return T.leases[id]
end

function T.holder_of(key)
  if T.holders[key] == nil then
    T.holders[key] = call('HGET', HELD, key)
  end
  return T.holders[key]
end

function T.hold(key, id)
  T.holders[key], T.new_holders[key] = id, id
end

function T.put_lease(id, lease)
  T.leases[id], T.new_leases[id] = lease, lease
end

function T.is_over(lease)
  return lease.ends and lease.ends <= now
end

-- What nobody owns is found by its key alone.
function T.own(owner, key, is)
  if owner ~= '' then
    T.owned[owner .. '\0' .. key] = is
  end
end

-- Where a key's queue stands: its length first, so that no key begins another.
function T.queue_of(key)
  return string.format('%04d', #key) .. key
end

-- Who is in front of a key's queue; none if nobody waits for it.
function T.front(key)
  if T.waiting == 0 then
    return nil
  end
  local queue = T.queue_of(key)
  local first = call('ZRANGEBYLEX', QUEUE, '[' .. queue, '[' .. queue .. '\255', 'LIMIT', 0, 1)[1]
  -- Behind the key stands the number of the place, 16 digits, then the ticket.
  return first and string.sub(first, #queue + 17)
end

function T.ticket_of(id)
  local packed = call('HGET', TICKETS, id)
  if not packed then
    return nil
  end
  local fields = cmsgpack.unpack(packed)
  return { place = fields[1], ttl = fields[2], owner = fields[3], keys = fields[4] }
end

-- Has those who wait, if anybody does, look when this lease ends.
function T.watch(id, lease)
  if lease.ends and T.waiting > 0 then
    call('ZADD', WATCHED, T.whole(lease.ends), id)
  end
end

-- Takes a key from a lease, which ends with the last one.
function T.strip(id, key)
  local lease, keys = T.lease_of(id), {}
  if not lease then
    return
  end
  for _, held in ipairs(lease.keys) do
    if held ~= key then
      keys[#keys + 1] = held
    end
  end
  T.own(lease.owner, key, false)
  if #keys == 0 then
    T.put_lease(id, false)
  else
    lease.keys, lease.broken = keys, true
    T.put_lease(id, lease)
  end
end

-- Leases keys that are free or the owner's own.
function T.grant(id, keys, owner, ttl)
  for _, key in ipairs(keys) do
    local before = T.holder_of(key)
    if before then
      T.strip(before, key)
    end
    T.hold(key, id)
    T.own(owner, key, true)
  end
  local lease = {
    fence = T.next_fence(), ends = ttl and now + ttl, owner = owner, broken = false, keys = keys,
  }
  T.put_lease(id, lease)
  return lease
end

function T.leave_queue(id, ticket)
  local places = {}
  for n, key in ipairs(ticket.keys) do
    places[n] = T.queue_of(key) .. ticket.place .. id
  end
  call('ZREM', QUEUE, unpack(places))
  call('HDEL', TICKETS, id)
  T.waiting = T.waiting - 1
  if T.waiting == 0 then
    call('DEL', WATCHED)
  end
end

-- Whose a key is towards this owner: 'free', 'own' or 'taken'. Who is in front of
-- the queue may ask for itself.
function T.state(key, owner, asks)
  local id = T.holder_of(key)
  if not id and T.waiting == 0 then
    return 'free'
  end
  local lease = id and T.lease_of(id)
  if lease and T.is_over(lease) then
    T.finish(id)
    return T.state(key, owner, asks)
  end
  if lease then
    return (owner ~= '' and lease.owner == owner) and 'own' or 'taken'
  end
  local first = T.front(key)
  return (first == nil or first == asks) and 'free' or 'taken'
end

function T.is_next(id, ticket)
  for _, key in ipairs(ticket.keys) do
    if T.front(key) ~= id or T.state(key, ticket.owner, id) == 'taken' then
      return false
    end
  end
  return true
end

-- Grants whoever can be, now that something has changed about these keys.
function T.pass_on(changed)
  while T.waiting > 0 and #changed > 0 do
    local id = T.front(table.remove(changed))
    local ticket = id and T.ticket_of(id)
    -- What has expired may have passed to it while that was found out.
    if ticket and T.is_next(id, ticket) and T.ticket_of(id) then
      T.leave_queue(id, ticket)
      local lease = T.grant(id, ticket.keys, ticket.owner, ticket.ttl)
      -- A ticket begins with the 16 digits of the instance that it is from.
      if T.here[string.sub(id, 1, 16)] then
        T.told[#T.told + 1] = id
        call('ZREM', SEEN, id)
        call('ZADD', SEEN, T.whole(now + IN_FLIGHT), ':' .. id)
      else
        T.woken[#T.woken + 1] = id
        call('ZADD', SEEN, T.whole(now + SILENCE), id)
      end
      if ticket.owner ~= '' then
        -- The next in line may be the same owner, who need not wait.
        for _, key in ipairs(ticket.keys) do
          changed[#changed + 1] = key
        end
      end
      T.watch(id, lease)
    end
  end
end

-- Ends a lease and passes its keys on; says whether there was one.
function T.finish(id)
  local lease = T.lease_of(id)
  if not lease then
    return false
  end
  for _, key in ipairs(lease.keys) do
    T.hold(key, false)
    T.own(lease.owner, key, false)
  end
  T.put_lease(id, false)
  -- Of a lease that has ended nobody needs the keys.
  T.pass_on(lease.keys)
  return true
end

function T.give_up(id)
  local ticket = T.ticket_of(id)
  call('ZREM', SEEN, id)
  if ticket then
    T.leave_queue(id, ticket)
    T.pass_on(ticket.keys)
    return true
  end
  return T.finish(id)
end

-- Which of these names were given up before their requests came.
function T.given_up(ids)
  local late = {}
  if #ids == 0 or call('ZCARD', SEEN) == 0 then
    return late
  end
  local names = {}
  for n, id in ipairs(ids) do
    names[n] = '!' .. id
  end
  for n, moment in ipairs(call('ZMSCORE', SEEN, unpack(names))) do
    late[ids[n]] = moment and true
  end
  return late
end

-- Ends what has expired and what nobody asks after any more.
function T.sweep()
  local over = call('ZRANGEBYSCORE', ENDS, '-inf', T.whole(now), 'LIMIT', '0', PAGE)
  if #over > 0 then
    T.look_up_leases(over)
  end
  for _, id in ipairs(over) do
    local lease = T.lease_of(id)
    if not lease then
      call('ZREM', ENDS, id)
    elseif T.is_over(lease) then
      T.finish(id)
    end
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', T.whole(now), 'LIMIT', '0', PAGE)) do
    if string.find(id, '^[:!]') then
      call('ZREM', SEEN, id)
    else
      T.give_up(id)
    end
  end
  if T.waiting > 0 then
    call('ZREMRANGEBYSCORE', WATCHED, '-inf', T.whole(now))
  end
  T.more = #over == PAGE
end

function T.next_due()
  if T.more or T.waiting == 0 then
    return T.more and '0' or ''
  end
  local first = call('ZRANGE', WATCHED, 0, 0, 'WITHSCORES')
  return first[2] and T.whole(math.max(first[2] - now, 0)) or ''
end

function T.acquire(id, owner, ttl, may_wait, keys, most_waiting)
  local taken, own
  for _, key in ipairs(keys) do
    local its = T.state(key, owner)
    own = own or its == 'own'
    taken = taken or (its == 'taken' and key)
  end
  if not taken then
    local lease = T.grant(id, keys, owner, ttl)
    if own then
      T.watch(id, lease)
    end
    return 'granted', T.whole(lease.fence)
  elseif not may_wait then
    return 'taken', taken
  elseif own then
    return 'own', taken
  elseif T.waiting >= most_waiting then
    return 'full', ''
  end
  local place, places = string.format('%016d', T.next_fence()), {}
  T.waiting = T.waiting + 1
  for _, key in ipairs(keys) do
    places[#places + 1] = '0'
    places[#places + 1] = T.queue_of(key) .. place .. id
    local holder = T.holder_of(key)
    local lease = holder and T.lease_of(holder)
    if lease then
      T.watch(holder, lease)
    end
  end
  call('ZADD', QUEUE, unpack(places))
  call('HSET', TICKETS, id, cmsgpack.pack({ place, ttl, owner, keys }))
  call('ZADD', SEEN, T.whole(now + SILENCE), id)
  return 'queued', ''
end

local operations = {}

-- Leases end first, then requests are served.
function operations.exchange()
  local ids, lost = T.next_list(), {}
  local most_waiting = T.next_number()
  local requests, names, all = {}, {}, {}
  for n = 1, T.next_number() do
    local at = T.at
    local id, owner, ttl = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]) or false
    T.at = at + 4
    local keys = T.next_list()
    requests[n], names[n] = { id, owner, ttl, ARGV[at + 4] == '1', keys }, id
    for _, key in ipairs(keys) do
      all[#all + 1] = key
    end
  end
  T.look_up_leases(ids)
  T.look_up(all)
  T.sweep()
  for _, id in ipairs(ids) do
    local lease = T.lease_of(id)
    if not lease or lease.broken or T.is_over(lease) then
      lost[#lost + 1] = id
    end
    T.finish(id)
  end
  T.answer(tostring(#lost))
  for _, id in ipairs(lost) do
    T.answer(id)
  end
  local late, queued = T.given_up(names), false
  for _, request in ipairs(requests) do
    local id, owner, ttl, may_wait, keys = unpack(request)
    local became, detail = 'late', ''
    if not late[id] then
      became, detail = T.acquire(id, owner, ttl, may_wait, keys, most_waiting)
    end
    T.answer(became)
    T.answer(detail)
    queued = queued or became == 'queued'
  end
  T.answer(queued and T.next_due() or '')
end

function operations.extend()
  T.sweep()
  for _ = 1, T.next_number() do
    local id, ttl = T.next_argument(), T.next_number() or false
    local lease = T.lease_of(id)
    if not lease or lease.broken or T.is_over(lease) then
      T.answer(id)
    else
      local before = lease.ends
      lease.ends = ttl and now + ttl
      T.put_lease(id, lease)
      local waits = false
      for _, key in ipairs(lease.keys) do
        waits = waits or T.front(key) ~= nil
      end
      if waits then
        if lease.ends then
          T.watch(id, lease)
        else
          call('ZREM', WATCHED, id)
        end
        -- Sooner than those think who wait in other processes.
        T.nudge = T.nudge or (lease.ends and (not before or lease.ends < before))
      end
    end
  end
end

-- Of leases up to a fence, if one is given.
operations['release-keys'] = function()
  T.sweep()
  local owner, up_to, freed = T.next_argument(), T.next_number(), 0
  for _, key in ipairs(T.next_list()) do
    local id = T.holder_of(key)
    local lease = id and T.lease_of(id)
    if lease and T.is_over(lease) then
      T.finish(id)
    elseif lease and lease.owner == owner and not (up_to and lease.fence > up_to) then
      freed = freed + 1
      T.hold(key, false)
      T.strip(id, key)
      T.pass_on({ key })
    end
  end
  T.answer(tostring(freed))
end

operations['release-all'] = function()
  T.sweep()
  local owner, freed, ids, seen = T.next_argument(), 0, {}, {}
  -- What is freed may pass to somebody else of this owner, who keeps it.
  for _, place in ipairs(call('ZRANGEBYLEX', OWNERS, '[' .. owner .. '\0', '(' .. owner .. '\1')) do
    local id = T.holder_of(string.sub(place, #owner + 2))
    if id and not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  for _, id in ipairs(ids) do
    local lease = T.lease_of(id)
    if lease and lease.owner == owner then
      freed = freed + (T.is_over(lease) and 0 or #lease.keys)
      T.finish(id)
    end
  end
  T.answer(tostring(freed))
end

function operations.poll()
  T.sweep()
  local ids = T.next_list()
  for _, id in ipairs(ids) do
    local lease = T.lease_of(id)
    if call('HEXISTS', TICKETS, id) == 1 then
      call('ZADD', SEEN, 'XX', T.whole(now + SILENCE), id)
    elseif not lease or lease.broken or T.is_over(lease) then
      call('ZREM', SEEN, id)
      T.answer(id)
      T.answer('')
    elseif call('ZREM', SEEN, id) == 1 or not call('ZSCORE', SEEN, ':' .. id) then
      -- Once: whoever else asks now waits for the answer that is on its way. If it
      -- is lost there, it is given again.
      call('ZADD', SEEN, T.whole(now + IN_FLIGHT), ':' .. id)
      T.answer(id)
      T.answer(T.whole(lease.fence))
    end
  end
  T.answer(T.next_due())
  local last = call('XREVRANGE', NEWS, '+', '-', 'COUNT', 1)[1]
  T.answer(last and last[1] or '0-0')
end

function operations.abandon()
  T.sweep()
  for _, id in ipairs(T.next_list()) do
    if not T.give_up(id) then
      call('ZADD', SEEN, T.whole(now + LATE), '!' .. id)
    end
  end
end

function T.show(key)
  local id = T.holder_of(key)
  local lease = id and T.lease_of(id)
  if not lease or T.is_over(lease) then
    for _ = 1, 4 do
      T.answer('')
    end
    return
  end
  local queue = T.queue_of(key)
  T.answer(T.whole(lease.fence))
  T.answer(lease.owner)
  T.answer(lease.ends and T.whole(lease.ends - now) or '')
  T.answer(T.whole(call('ZLEXCOUNT', QUEUE, '[' .. queue, '[' .. queue .. '\255')))
end

function operations.inspect()
  T.sweep()
  local keys = T.next_list()
  T.look_up(keys)
  for _, key in ipairs(keys) do
    T.show(key)
  end
end

-- Whether there is more.
function operations.sweep()
  T.sweep()
  T.answer(T.more and '1' or '0')
end

-- Changes to a hash or a sorted set: pairs that are put, and names that go.
function T.write(put, remove, key, puts, removes)
  for from = 1, #puts, MOST do
    call(put, key, unpack(puts, from, math.min(from + MOST - 1, #puts)))
  end
  for from = 1, #removes, MOST do
    call(remove, key, unpack(removes, from, math.min(from + MOST - 1, #removes)))
  end
end

function T.write_all()
  if T.fence then
    call('SET', FENCE, T.whole(T.fence))
  end
  local puts, removes = {}, {}
  for key, id in pairs(T.new_holders) do
    if id then
      puts[#puts + 1] = key
      puts[#puts + 1] = id
    else
      removes[#removes + 1] = key
    end
  end
  T.write('HSET', 'HDEL', HELD, puts, removes)
  puts, removes = {}, {}
  local ends, endless, last, text = {}, {}
  for id, lease in pairs(T.new_leases) do
    if lease then
      puts[#puts + 1] = id
      puts[#puts + 1] =
        cmsgpack.pack({ lease.fence, lease.ends, lease.owner, lease.broken, lease.keys })
    else
      removes[#removes + 1] = id
    end
    if lease and lease.ends then
      -- Mostly they all end in the same moment.
      if lease.ends ~= last then
        last, text = lease.ends, T.whole(lease.ends)
      end
      ends[#ends + 1] = text
      ends[#ends + 1] = id
    else
      endless[#endless + 1] = id
    end
  end
  T.write('HSET', 'HDEL', LEASES, puts, removes)
  T.write('ZADD', 'ZREM', ENDS, ends, endless)
  if T.waiting > 0 then
    T.write('ZADD', 'ZREM', WATCHED, {}, removes)
  end
  puts, removes = {}, {}
  for place, is in pairs(T.owned) do
    if is then
      puts[#puts + 1] = '0'
      puts[#puts + 1] = place
    else
      removes[#removes + 1] = place
    end
  end
  T.write('ZADD', 'ZREM', OWNERS, puts, removes)
end

for _, instance in ipairs(T.next_list()) do
  T.here[instance] = true
end
operations[ARGV[1]]()
T.write_all()
-- Who waits in the runtime that asks is told with this answer, and nobody of them in
-- the news. What one was granted may have gone to the next of the same owner.
local turns = {}
if #T.told > 0 then
  turns[1] = T.next_due()
end
for n, id in ipairs(T.told) do
  local lease = T.lease_of(id)
  turns[2 * n] = id
  turns[2 * n + 1] = lease and not lease.broken and T.whole(lease.fence) or ''
end
if #T.woken > 0 or T.nudge then
  local news = {}
  for n, id in ipairs(T.woken) do
    news[2 * n - 1], news[2 * n] = 't', id
  end
  if T.nudge then
    news[#news + 1] = 'n'
    news[#news + 1] = ''
  end
  for from = 1, #news, MOST do
    call('XADD', NEWS, 'MAXLEN', '~', 1000, '*', unpack(news, from, math.min(from + MOST - 1, #news)))
  end
end
return { T.answers, turns }
