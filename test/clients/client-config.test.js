// What `caddy continue-auth client-config` prints is loaded by the real Continue CLI, which then
// chats through the real server with a key that the real command made.
//
// CADDY names the server's program: go build -o caddy ./cmd/caddy
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseConfigYaml, validateConfigYaml } from '@continuedev/config-yaml'

const here = path => fileURLToPath(new URL(path, import.meta.url))
const limit = { timeout: 120_000 }
const caddy = resolve(process.env.CADDY ?? 'caddy')
const email = 'dev@example.com'
const folder = mkdtempSync(join(tmpdir(), 'continue-auth-'))
const env = { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
const ours = (...args) => execFileSync(caddy, ['continue-auth', ...args], { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000, killSignal: 'SIGKILL' })

const models = {
  'workers-ai': ['@cf/meta/llama-3.1-8b-instruct', '@cf/qwen/qwen2.5-coder-32b-instruct', '@cf/baai/bge-m3'],
  'azure-openai': ['inst/gpt-5-mini', 'other/gpt-5-mini'],
  openai: ['gpt-4o-mini'],
}
const requests = []
let gateway, server, client

async function freePort() {
  const taken = createServer()
  await new Promise(listening => taken.listen(0, '127.0.0.1', listening))
  const { port } = taken.address()
  await new Promise(closed => taken.close(closed))
  return port
}

before(async () => {
  gateway = createServer((req, res) => {
    let body = ''
    req.on('data', piece => (body += piece))
    req.on('end', () => {
      requests.push({ path: req.url, body: JSON.parse(body), headers: req.headers })
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      const chunk = (delta, finish) => `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
      res.end(chunk({ role: 'assistant', content: 'PONG from the gateway' }, null) + chunk({}, 'stop') + 'data: [DONE]\n\n')
    })
  })
  await new Promise(listening => gateway.listen(0, '127.0.0.1', listening))
  const port = await freePort()
  writeFileSync(join(folder, 'Caddyfile'), `{
	admin unix/${folder}/admin.sock
	persist_config off
}
http://127.0.0.1:${port} {
	continue_auth {
		account_id acc
		gateway gw
		gateway_token token
		keystore file
	}
	reverse_proxy 127.0.0.1:${gateway.address().port} {
		transport continue_auth
	}
}
`)
  for (const [provider, names] of Object.entries(models)) ours('providers', 'set', provider, ...names.flatMap(name => ['--model', name]))
  server = spawn(caddy, ['run'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  await new Promise((ready, failed) => {
    let log = ''
    server.stderr.on('data', piece => (log += piece).includes('serving initial configuration') && ready())
    server.once('error', failed)
    server.once('exit', status => failed(new Error(`caddy ended with ${status}: ${log}`)))
  })
}, limit)

after(async () => {
  if (server?.pid && server.exitCode === null && server.signalCode === null) {
    const ended = new Promise(exit => server.once('exit', exit))
    const hurry = setTimeout(() => server.kill('SIGKILL'), 10_000)
    server.kill()
    await ended
    clearTimeout(hurry)
  }
  gateway?.close()
  gateway?.closeAllConnections()
  rmSync(folder, { recursive: true, force: true })
}, limit)

process.on('exit', () => [server, client].forEach(child => child?.kill('SIGKILL'))) // where the tests are stopped half way
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// cn runs the Continue CLI.
function cn(config, prompt) {
  const home = mkdtempSync(join(folder, 'cn-'))
  return new Promise(done => {
    client = spawn(process.execPath, [here('node_modules/@continuedev/cli/dist/cn.js'), '-p', prompt, '--config', config], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, CONTINUE_GLOBAL_DIR: join(home, '.continue'), CONTINUE_METRICS_ENABLED: '0', FORCE_NO_TTY: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    })
    let out = ''
    client.stdout.on('data', piece => (out += piece))
    client.stderr.on('data', piece => (out += piece))
    client.on('close', status => done({ status, out }))
  })
}

test('the Continue CLI loads the printed configuration and chats', limit, async () => {
  const key = ours('keys', 'add', email).trim()
  const printed = ours('client-config', email)
  assert.ok(!printed.includes(key))
  const config = join(folder, 'config.yaml')
  writeFileSync(config, printed.replaceAll('apiKey: USER_KEY', `apiKey: ${key}`))
  const { status, out } = await cn(config, 'say PONG')
  assert.equal(status, 0, out)
  assert.match(out, /PONG from the gateway/)
  assert.equal(requests.length, 1)
  assert.equal(requests[0].body.model, 'gpt-5-mini')
  assert.equal(requests[0].path, '/v1/acc/gw/azure-openai/inst/gpt-5-mini/chat/completions')
  assert.equal(requests[0].headers['cf-aig-metadata'], JSON.stringify({ user: email }))
})

test('each chat model of the printed configuration can be chosen', limit, async () => {
  const key = ours('keys', 'rotate', email).trim()
  const printed = ours('client-config', email).replaceAll('apiKey: USER_KEY', `apiKey: ${key}`)
  const [head, ...entries] = printed.split(/^ {2}- /m)
  const chats = entries.filter(entry => entry.includes('roles: [chat'))
  assert.equal(chats.length, 5)
  for (const chat of chats) {
    const options = entries[0].match(/requestOptions: &user\n(.*\n)*/)[0].replace(' &user', '')
    const config = join(folder, 'one.yaml')
    writeFileSync(config, head + '  - ' + chat.replace(/requestOptions: (\*user\n|&user\n(.*\n)*)/, options))
    const before = requests.length
    const { status, out } = await cn(config, 'say PONG')
    assert.equal(status, 0, chat + out)
    assert.match(out, /PONG from the gateway/)
    assert.equal(requests.length, before + 1)
    assert.match(requests.at(-1).path, /chat\/completions$/)
  }
})

test('a wrong key is shown as such, after one request', limit, async () => {
  const config = join(folder, 'wrong.yaml')
  writeFileSync(config, ours('client-config', email))
  const before = requests.length
  const { status, out } = await cn(config, 'say PONG')
  assert.equal(status, 1)
  assert.match(out, /Invalid API key/)
  assert.equal(requests.length, before)
})

test('Continue itself finds nothing wrong, whatever the models are called', () => {
  const golden = here('../../caddyauth/testdata/client_config/')
  const files = readdirSync(golden).filter(file => file.endsWith('.yaml'))
  assert.ok(files.length > 0)
  for (const text of [ours('client-config', email), ...files.map(file => readFileSync(join(golden, file), 'utf8'))]) {
    const config = parseConfigYaml(text)
    assert.deepEqual(validateConfigYaml(config), [], text)
    assert.equal(new Set(config.models.map(model => model.name)).size, config.models.length, text)
    for (const model of config.models) {
      assert.equal(model.provider, 'openai')
      assert.ok(model.roles.length > 0, model.model)
      assert.equal(Object.keys(model.requestOptions.headers).length, 1, model.model)
    }
  }
})

test('the old configuration has a place for each kind of model', () => {
  const old = JSON.parse(ours('client-config', email, '--format', 'json'))
  assert.deepEqual(old.models.map(m => m.model).sort(), ['azure-openai/inst/gpt-5-mini', 'azure-openai/other/gpt-5-mini', 'openai/gpt-4o-mini', 'workers-ai/@cf/meta/llama-3.1-8b-instruct', 'workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct'])
  assert.equal(old.tabAutocompleteModel.model, 'workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct')
  assert.equal(old.embeddingsProvider.model, 'workers-ai/@cf/baai/bge-m3')
  assert.ok(readFileSync(join(folder, 'keys.json'), 'utf8').includes('apiKeyHash'))
})
