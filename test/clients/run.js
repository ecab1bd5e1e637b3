// Starts the real server behind automatic HTTPS, in front of the simulated AI Gateway, and then the tests.
//
// They are processes of their own, because Node reads NODE_EXTRA_CA_CERTS only as it starts, and they run one after the
// other, because they count the gateway's requests.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../freeport/freeport.mjs'

const models = {
  'workers-ai': ['@cf/meta/llama-3.1-8b-instruct', '@cf/qwen/qwen2.5-coder-32b-instruct', '@cf/baai/bge-m3'],
  'azure-openai': ['inst/gpt-5-mini', 'other/gpt-5-mini'],
  'google-ai-studio': ['gemini-2.5-flash'],
  openai: ['gpt-4o-mini'],
  anthropic: [],
  groq: [],
  dynamic: ['everyday'],
}
const listed = Object.entries(models).flatMap(([provider, names]) => names.map(name => `${provider}/${name}`))

const folder = mkdtempSync(join(tmpdir(), 'continue-auth-'))
const children = []
let tests
process.on('exit', () => {
  children.forEach(child => child.kill(child === tests ? 'SIGTERM' : 'SIGKILL')) // the tests have processes of their own to end
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
setTimeout(() => {
  console.error('the tests have not come to an end in half an hour')
  process.exit(1)
}, 1_800_000)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const start = (program, args, options) => {
  const child = spawn(program, args, options)
  children.push(child)
  return child
}

const simulator = start(resolve(process.env.GATEWAY ?? 'gateway'), [], { stdio: ['pipe', 'pipe', 'inherit'] })
const [line] = await once(createInterface(simulator.stdout), 'line')
const gateway = JSON.parse(line)

const caddy = resolve(process.env.CADDY ?? 'caddy')
const home = { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
const port = await freePort()
writeFileSync(join(folder, 'Caddyfile'), `{
	admin unix/${folder}/admin.sock
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system ${folder}/data
}
https://localhost:${port}, https://127.0.0.1:${port} {
	bind 127.0.0.1
	tls internal
	log {
		output file access.log
	}
	continue_auth {
		account_id ${gateway.Account}
		gateway ${gateway.Gateway}
		gateway_token ${gateway.Token}
		keystore file
	}
	reverse_proxy ${gateway.URL} {
		transport continue_auth
	}
}
`)
for (const [provider, names] of Object.entries(models)) {
  const settings = Object.entries(gateway.ProviderHeaders[provider] ?? {}).flatMap(([name, value]) => ['--header', `${name}=${value}`])
  if (provider === 'azure-openai') settings.push('--query', 'api-version=2024-10-21')
  settings.push(...names.flatMap(name => ['--model', name]))
  execFileSync(caddy, ['continue-auth', 'providers', 'set', provider, ...settings], { cwd: folder, env: home, stdio: 'pipe', timeout: 30_000 })
}
const server = start(caddy, ['run'], { cwd: folder, env: home, stdio: ['ignore', 'ignore', 'pipe'] })
await new Promise((ready, failed) => {
  let log = ''
  setTimeout(() => failed(new Error(`caddy was not ready within a minute: ${log}`)), 60_000).unref()
  server.stderr.on('data', piece => {
    log += piece
    const certificates = log.match(/certificate obtained successfully/g) ?? []
    if (certificates.length === 2 && log.includes('serving initial configuration')) ready()
  })
  server.once('error', failed)
  server.once('exit', status => failed(new Error(`caddy ended with ${status}: ${log}`)))
})

tests = start(process.execPath, ['--test', '--test-concurrency=1', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    NODE_EXTRA_CA_CERTS: join(folder, 'data/pki/authorities/local/root.crt'),
    SERVER: JSON.stringify({ caddy, folder, home, url: `https://localhost:${port}/v1`, control: gateway.Control, prefix: `/v1/${gateway.Account}/${gateway.Gateway}/`, models: listed }),
  },
})
const [status] = await once(tests, 'exit')
server.kill()
const [end] = server.exitCode === null ? await once(server, 'exit') : [server.exitCode]
if (end !== 0) console.error(`caddy ended with ${end}`)
process.exit(status === 0 && end === 0 ? 0 : 1)
