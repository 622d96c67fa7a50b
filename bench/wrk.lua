-- Posts bodies from a file in turn: a line with the token, a line with the JSON, and so on; prints a line of figures.
local requests = {}
local turn = 0

function init(args)
  local token
  for line in io.lines(args[1]) do
    if token then
      local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. token }
      requests[#requests + 1] = wrk.format("POST", "/graphql", headers, line)
      token = nil
    else
      token = line
    end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("figures %d %d %d %d %.0f %.0f\n",
    summary.requests, summary.bytes, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
