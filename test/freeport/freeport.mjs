// Ports for servers that must be told one, chosen as in freeport.go and for its reason.
import { once } from 'node:events'
import { createServer } from 'node:net'

const first = 20_000
const count = 12_768
let taken = Math.floor(Math.random() * count)

// freePort returns a port of 127.0.0.1 at which nobody listens, another one each time.
export async function freePort() {
  for (let tries = 0; tries < count; tries++) {
    const port = first + (++taken % count)
    const listener = createServer().listen(port, '127.0.0.1')
    try {
      await once(listener, 'listening')
    } catch {
      continue
    }
    listener.close()
    await once(listener, 'close')
    return port
  }
  throw new Error('each port is taken')
}
