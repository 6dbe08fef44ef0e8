-- Sends the bodies of a folder in turn: wrk ... -s load.lua URL -- CONTENT_TYPE FOLDER
-- and ends with one line of JSON.

local bodies, place = {}, 0

function init(arguments)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = arguments[1]
   while true do
      local file = io.open(arguments[2] .. "/" .. #bodies, "rb")
      if not file then break end
      bodies[#bodies + 1] = wrk.format(nil, nil, nil, file:read("*a"))
      file:close()
   end
end

function request()
   place = place % #bodies + 1
   return bodies[place]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "bad": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout
   ))
end
