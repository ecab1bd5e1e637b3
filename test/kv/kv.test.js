// Miniflare's KV behind Cloudflare's paths, an account and a token, to which the real server and its commands
// speak as they would to Cloudflare.
//
// CADDY names the server's program: go build -o caddy ./cmd/caddy
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Miniflare } from 'miniflare'
import { freePort } from '../freeport/freeport.mjs'

const here = path => fileURLToPath(new URL(path, import.meta.url))
const limit = { timeout: 200_000 }
const caddy = resolve(process.env.CADDY ?? 'caddy')
const folder = mkdtempSync(join(tmpdir(), 'continue-auth-'))
const apiKeys = '000000000000000000000000000a0001'
const providerSettings = '000000000000000000000000000a0002'
const home = { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
const cloudflare = { // also what wrangler calls them
  CLOUDFLARE_ACCOUNT_ID: '0000000000000000000000000000acc1',
  CLOUDFLARE_API_TOKEN: 'token',
  API_KEYS_NAMESPACE_ID: apiKeys,
  PROVIDER_SETTINGS_NAMESPACE_ID: providerSettings,
}
const requests = []
const servers = []
let miniflare, gateway, site

// serve runs a Caddyfile until the tests end.
async function serve(config, env) {
  const server = spawn(caddy, ['run', '--config', config, '--adapter', 'caddyfile'], { cwd: folder, env: { ...home, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  servers.push(server)
  await new Promise((ready, failed) => {
    let log = ''
    server.stderr.on('data', piece => (log += piece).includes('serving initial configuration') && ready())
    server.once('error', failed)
    server.once('exit', status => failed(new Error(`caddy ended with ${status}: ${log}`)))
  })
}

const run = promisify(execFile)

// ours runs one of the commands, in the folder of the server's Caddyfile unless told otherwise, and returns what it prints.
async function ours(command, cwd = folder) {
  const { stdout } = await run(caddy, ['continue-auth', ...command.split(' ')], { cwd, env: { ...home, ...cloudflare }, timeout: 30_000, killSignal: 'SIGKILL' })
  return stdout.trim()
}

// chat is the status with which the server answers.
async function chat(email, key) {
  const res = await fetch(`${site}/v1/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'X-User-Email': email, 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'openai/gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }] }),
  })
  await res.text()
  return res.status
}

const caddyfile = (site, keystore) => `{
	admin unix/${folder}/admin.sock
	persist_config off
}
${site} {
	bind 127.0.0.1
	continue_auth {
		account_id acc
		gateway gw
		gateway_token token
		${keystore}
	}
	reverse_proxy 127.0.0.1:${gateway.address().port} {
		transport continue_auth
	}
}
`

before(async () => {
  miniflare = new Miniflare({
    modules: true,
    scriptPath: here('worker.js'),
    compatibilityDate: '2026-04-01',
    host: '127.0.0.1',
    port: 0,
    cf: false, // or it would be fetched
    kvNamespaces: [apiKeys, providerSettings],
    unsafeLocalExplorer: true, // the REST API
  })
  const { host } = await miniflare.ready
  const port = await freePort()
  cloudflare.CLOUDFLARE_API_BASE_URL = `http://127.0.0.1:${port}/client/v4`
  await serve(here('Caddyfile'), { ...cloudflare, PORT: port, MINIFLARE: host })

  gateway = createServer((req, res) => {
    requests.push({ path: req.url, headers: req.headers })
    req.resume()
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] }))
  })
  await new Promise(listening => gateway.listen(0, '127.0.0.1', listening))
  site = `http://127.0.0.1:${await freePort()}`
  writeFileSync(join(folder, 'Caddyfile'), caddyfile(site, `keystore cloudflare_kv {
			account_id {env.CLOUDFLARE_ACCOUNT_ID}
			api_token {env.CLOUDFLARE_API_TOKEN}
			api_keys {env.API_KEYS_NAMESPACE_ID}
			provider_settings {env.PROVIDER_SETTINGS_NAMESPACE_ID}
			endpoint {env.CLOUDFLARE_API_BASE_URL}
		}`))
  await ours('providers set openai --header x-provider=openai --model gpt-4o-mini')
  await serve(join(folder, 'Caddyfile'), cloudflare)
}, limit)

after(async () => {
  for (const server of servers) {
    if (server.exitCode !== null || server.signalCode !== null) continue
    const ended = new Promise(exit => server.once('exit', exit))
    const hurry = setTimeout(() => server.kill('SIGKILL'), 10_000)
    server.kill()
    await ended
    clearTimeout(hurry)
  }
  gateway?.close()
  gateway?.closeAllConnections()
  await miniflare?.dispose()
}, limit)

process.on('exit', () => {
  servers.forEach(server => server.kill('SIGKILL')) // where the tests are stopped half way
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

test('the life of a key that the commands make', limit, async () => {
  const email = 'dev+tag/x@example.com'
  assert.equal(await chat(email, 'not-a-key'), 401)
  const first = await ours(`keys add ${email} --expires 90d --models openai/* --metadata team=core`)
  assert.equal(await chat(email, first), 200)
  assert.equal(requests.at(-1).path, '/v1/acc/gw/compat/chat/completions')
  assert.equal(requests.at(-1).headers['x-provider'], 'openai')
  assert.equal(requests.at(-1).headers['cf-aig-metadata'], JSON.stringify({ user: email, team: 'core' }))

  await ours(`keys disable ${email}`)
  assert.equal(await chat(email, first), 401)
  await ours(`keys enable ${email}`)
  const second = await ours(`keys rotate ${email} --grace 1h`)
  assert.deepEqual([await chat(email, first), await chat(email, second)], [200, 200])
  const third = await ours(`keys rotate ${email}`)
  assert.deepEqual([await chat(email, second), await chat(email, third)], [401, 200])

  const kv = await miniflare.getKVNamespace(apiKeys)
  const record = await kv.get(email)
  assert.ok(JSON.parse(record).apiKeyHash.startsWith('sha256:'))
  assert.ok([first, second, third].every(key => !record.includes(key)))
  assert.deepEqual(JSON.parse(await ours('keys list --json')).map(user => user.email), [email])
  await ours(`keys remove ${email} --yes`)
  assert.equal(await chat(email, third), 401)
  assert.equal(await kv.get(email), null)
})

test('an entry of the Worker, which its operator wrote with wrangler', limit, async () => {
  const end = Math.floor(Date.now() / 1000) + 3600
  const record = { apiKey: 'sk-worker', createdAt: '2023-10-27T12:00:00Z', status: 'Enabled', note: 'ours' }
  await wrangler([{ key: 'worker@example.com', value: JSON.stringify(record), metadata: { by: 'wrangler' }, expiration: end }])
  assert.equal(await chat('worker@example.com', 'sk-worker'), 200)
  assert.equal(await chat('worker@example.com', 'sk-other'), 401)

  // Migrating hashes the key and leaves all else.
  await ours('keys migrate --yes')
  assert.equal(await chat('worker@example.com', 'sk-worker'), 200)
  const kv = await miniflare.getKVNamespace(apiKeys)
  const { value, metadata } = await kv.getWithMetadata('worker@example.com', 'json')
  assert.deepEqual({ ...value, apiKeyHash: '' }, { createdAt: record.createdAt, status: 'Enabled', note: 'ours', apiKeyHash: '' })
  assert.deepEqual(metadata, { by: 'wrangler' })
  assert.equal((await kv.list({ prefix: 'worker@' })).keys[0].expiration, end)
})

test('the file of a file keystore moves to KV with wrangler', limit, async () => {
  const files = mkdtempSync(join(folder, 'files-'))
  writeFileSync(join(files, 'Caddyfile'), caddyfile('http://127.0.0.1:1', 'keystore file'))
  const key = await ours('keys add moved@example.com', files)
  await wrangler(JSON.parse(readFileSync(join(files, 'keys.json'))))
  assert.equal(await chat('moved@example.com', key), 200)
})

// wrangler writes pairs as docs/configuration.md says.
async function wrangler(pairs) {
  const file = join(mkdtempSync(join(folder, 'bulk-')), 'pairs.json')
  writeFileSync(file, JSON.stringify(pairs))
  const args = ['kv', 'bulk', 'put', file, '--namespace-id', apiKeys, '--remote']
  const env = { ...home, ...cloudflare, WRANGLER_HIDE_BANNER: 'true', WRANGLER_SEND_METRICS: 'false', WRANGLER_SEND_ERROR_REPORTS: 'false' } // none of which stays on loopback
  await run(process.execPath, [here('node_modules/wrangler/bin/wrangler.js'), ...args], { cwd: folder, env, timeout: 60_000, killSignal: 'SIGKILL' })
}

test('the contract of every keystore, and the simulator', limit, async t => {
  const { stdout } = await run('go', ['test', '-tags', 'miniflare', '-count', '1', '-timeout', '100s', '.'], { cwd: here('.'), env: { ...process.env, ...cloudflare } })
    .catch(err => assert.fail(err.stdout + err.stderr))
  t.diagnostic(stdout.trim())
})
