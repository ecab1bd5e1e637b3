// Starts the real server behind automatic HTTPS, in front of the simulated AI Gateway, and then the tests.
//
// Each file of tests is a process of its own, because Node reads NODE_EXTRA_CA_CERTS only as it starts. There are two
// servers, each with a gateway of its own, because the tests count its requests: two files run side by side.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../freeport/freeport.mjs'

const models = {
  'workers-ai': ['@cf/meta/llama-3.1-8b-instruct', '@cf/qwen/qwen2.5-coder-32b-instruct', '@cf/baai/bge-m3'],
  'azure-openai': ['inst/gpt-5-mini', 'other/gpt-5-mini', 'inst/gpt-4.1'],
  'google-ai-studio': ['gemini-2.5-flash'],
  openai: ['gpt-4o-mini'],
  anthropic: ['claude-sonnet-4-6', 'claude-haiku-4-5'],
  groq: [],
  dynamic: ['everyday'],
}
const listed = Object.entries(models).flatMap(([provider, names]) => names.map(name => `${provider}/${name}`))

const folder = mkdtempSync(join(tmpdir(), 'continue-auth-'))
const children = new Set()
process.on('exit', () => {
  children.forEach(child => child.kill(child.tests ? 'SIGTERM' : 'SIGKILL')) // the tests have processes of their own to end
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
setTimeout(() => {
  console.error('the tests have not come to an end in half an hour')
  process.exit(1)
}, 1_800_000).unref()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const start = (program, args, options) => {
  const child = spawn(program, args, options)
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

const caddy = resolve(process.env.CADDY ?? 'caddy')

// serve starts a gateway and a server before it, and returns what the tests are to know of them, and the server.
async function serve(name) {
  const home = join(folder, name)
  mkdirSync(home)
  const env = { PATH: process.env.PATH, HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home }
  const simulator = start(resolve(process.env.GATEWAY ?? 'gateway'), [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(simulator.stdout), 'line')
  const gateway = JSON.parse(line)
  const port = await freePort()
  writeFileSync(join(home, 'Caddyfile'), caddyfile(home, port, gateway))
  for (const [provider, names] of Object.entries(models)) {
    const settings = Object.entries(gateway.ProviderHeaders[provider] ?? {}).flatMap(([name, value]) => ['--header', `${name}=${value}`])
    if (provider === 'azure-openai') settings.push('--query', 'api-version=2024-10-21')
    settings.push(...names.flatMap(name => ['--model', name]))
    execFileSync(caddy, ['continue-auth', 'providers', 'set', provider, ...settings], { cwd: home, env, stdio: 'pipe', timeout: 120_000 })
  }
  const server = start(caddy, ['run'], { cwd: home, env, stdio: ['ignore', 'ignore', 'pipe'] })
  await ready(server)
  const known = { caddy, folder: home, home: env, url: `https://localhost:${port}/v1`, control: gateway.Control, prefix: `/v1/${gateway.Account}/${gateway.Gateway}/`, models: listed }
  return { server, env: { ...process.env, NODE_EXTRA_CA_CERTS: join(home, 'data/pki/authorities/local/root.crt'), SERVER: JSON.stringify(known) } }
}

const caddyfile = (home, port, gateway) => `{
	admin unix/${home}/admin.sock
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system ${home}/data
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
`

// ready waits for a server to have its certificates.
const ready = server => new Promise((done, failed) => {
  let log = ''
  setTimeout(() => failed(new Error(`caddy was not ready within a minute: ${log}`)), 60_000).unref()
  server.stderr.on('data', piece => {
    log += piece
    const certificates = log.match(/certificate obtained successfully/g) ?? []
    if (certificates.length === 2 && log.includes('serving initial configuration')) done()
  })
  server.once('error', failed)
  server.once('exit', status => failed(new Error(`caddy ended with ${status}: ${log}`)))
})

// tests runs a file of tests, and prints what they say at their end.
async function tests(file, options, env) {
  const began = Date.now()
  const child = start(process.execPath, ['--test', '--test-reporter=spec', ...options, file], { stdio: ['ignore', 'pipe', 'pipe'], env })
  child.tests = true
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', piece => (said += piece))
  const [status] = await once(child, 'close')
  console.log(`== ${file}: ${status === 0 ? 'passed' : 'FAILED'} in ${Math.round((Date.now() - began) / 1000)} s\n${said}`)
  return status === 0
}

const options = process.argv.slice(2).filter(argument => argument.startsWith('-'))
const named = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const longest = ['any-model.test.js', 'errors.test.js', 'opencode.test.js']
const others = readdirSync('.').filter(file => file.endsWith('.test.js') && !longest.includes(file))
const files = named.length > 0 ? named : [...longest, ...others] // the longest first, so that both sides end together
const failed = []

// side runs one file after the other, until none is left.
async function side(name) {
  const { server, env } = await serve(name)
  for (let file; (file = files.shift());) {
    if (!await tests(file, options, env)) failed.push(file)
  }
  server.kill()
  const [end] = server.exitCode === null ? await once(server, 'exit') : [server.exitCode]
  if (end !== 0) failed.push(`caddy, which ended with ${end}`)
}

const began = Date.now()
await Promise.all(['one', 'two'].slice(0, files.length).map(side))
console.log(failed.length === 0 ? `all passed in ${Math.round((Date.now() - began) / 1000)} s` : `failed: ${failed.join(', ')}`)
process.exit(failed.length === 0 ? 0 : 1)
