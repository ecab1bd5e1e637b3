// A coding agent as a process, set up as `caddy continue-auth client-config` says.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { always, folder, limit, next, ours, prefix, sent, statuses, user } from './server.js'

const running = new Set()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL'))) // where the tests are stopped half way
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// The longest that an agent may take, in milliseconds.
const patience = 120_000

// The agents that are tested on more than one provider.
export const claudeCode = {
  agent: 'claude-code',
  program: 'claude',
  args: ['--allowedTools', 'Read', '-p'],
  variables: { DISABLE_AUTOUPDATER: '1', DISABLE_TELEMETRY: '1', DISABLE_ERROR_REPORTING: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
  tool: 'Read',
}
export const codex = { agent: 'codex', args: ['exec', '--skip-git-repo-check'], tool: 'exec_command' }
export const openCode = {
  agent: 'opencode',
  args: ['run'],
  variables: { OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_LSP_DOWNLOAD: '1', OPENCODE_DISABLE_DEFAULT_PLUGINS: '1' },
  tool: 'read',
  more: 1, // a title
}

// connect makes a home for an agent, and a folder with a file for it to work in. The function that it returns sets the agent
// up with a key as client-config says, and returns the variables that the user is to set.
function connect(agent, email) {
  const home = mkdtempSync(join(folder, agent + '-'))
  const work = join(home, 'work')
  for (const path of [work, join(home, 'tmp')]) mkdirSync(path)
  writeFileSync(join(work, 'first.txt'), 'PONG is the word\n')
  const printed = ours('client-config', email, '--for', agent)
  const setUp = key => {
    const variables = {}
    for (const part of printed.replaceAll('USER_KEY', key).split('\n\n# ').slice(1)) {
      const [, heading, content] = part.match(/^(.*):\n([^]*)$/)
      const file = heading.match(/~\/(\S+)/)?.[1]
      if (file) {
        mkdirSync(dirname(join(home, file)), { recursive: true })
        writeFileSync(join(home, file), content)
      } else {
        for (const [, name, value] of content.matchAll(/^export (\w+)=(.*)$/gm)) variables[name] = value
      }
    }
    return variables
  }
  return { home, work, setUp }
}

// run runs a program of node_modules/.bin, and returns its status and what it prints.
function run(program, args, home, cwd, variables) {
  const authority = process.env.NODE_EXTRA_CA_CERTS
  return new Promise((done, failed) => {
    const child = spawn(fileURLToPath(new URL('node_modules/.bin/' + program, import.meta.url)), args, {
      cwd,
      env: { PATH: process.env.PATH, HOME: home, TMPDIR: join(home, 'tmp'), NODE_EXTRA_CA_CERTS: authority, SSL_CERT_FILE: authority, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: patience,
      killSignal: 'SIGKILL',
    })
    running.add(child)
    let out = '', all = ''
    child.stdout.on('data', piece => { out += piece; all += piece })
    child.stderr.on('data', piece => { all += piece })
    child.on('error', failed)
    child.on('close', (status, signal) => {
      running.delete(child)
      if (signal) failed(new Error(`${program} was not done after ${patience / 1000} s: ${all}`))
      else done({ status, out, all })
    })
  })
}

const assertBetween = (n, least, most) => assert.ok(n >= least && n <= most, `${n}, which is not between ${least} and ${most}`)

// testTurn tests that an agent reads a file with a tool and shows the model's answer. It returns what tests need to go on with it.
//
//   options                further options of the user that is made for it
//   otherwise              see testAgent
export function testTurn({ agent, program = agent, title = agent, args, variables = {}, credential = () => ({}), path, from, tool, more = 0 }, options = []) {
  const email = `${title.replaceAll(' ', '-')}@example.com`
  const key = user(email, ...options)
  const { home, work, setUp } = connect(agent, email)
  const ask = (prompt, apiKey = key) => run(program, [...args, prompt], home, work, { ...setUp(apiKey), ...variables, ...credential(email, apiKey) })
  const turns = async () => {
    const requests = await sent()
    requests.forEach(({ Header }) => assert.deepEqual(Header['Cf-Aig-Metadata'], [JSON.stringify({ user: email })]))
    return requests
  }

  test(`${title} reads a file with a tool, and answers`, limit, async () => {
    const { status, out, all } = await ask(`USETOOL ${tool} ${join(work, 'first.txt')}`)
    assert.equal(status, 0, all)
    assert.match(out, /The tool says/, all)
    assert.ok(out.includes(`This was ${from}`), all)
    const requests = await turns()
    assertBetween(requests.length, 2, 2 + more)
    assert.ok(requests.some(({ Path, Body }) => Path === prefix + path && JSON.stringify(Body).includes('PONG is the word')), requests.map(({ Path }) => Path).join())
  })
  return { title, ask, turns }
}

// testAgentOn tests an agent on the models of one provider, which are all that its user may use.
export function testAgentOn(provider, { models = '*', ...settings }) {
  testTurn({ ...settings, title: `${settings.agent} on ${provider}` }, ['--models', `${provider}/${models}`])
}

// testAgent tests an agent:
//
//   agent, program, args   its name, its program, and the arguments before the prompt
//   title                  what the tests are called; the agent's name, if it has one way to models alone
//   credential             the variables with the key, of an email and a key, if client-config does not set them
//   variables              what keeps it from the network and from waiting for somebody
//   path, model            where its requests are to arrive at the gateway, and for which model
//   from                   the model and the provider that an answer names
//   tool                   its tool that reads a file
//   more                   how many requests it may make beside those that the user waits for: a title, a memory
//   wrongKey, cut          how many requests there are, and what the user is shown. All answers are cut off, or as many as
//                          cut.times says; cut.status is the status of a program that gets over it
export function testAgent({ wrongKey, cut, ...settings }) {
  const { path, from, more = 0 } = settings
  const { title, ask, turns } = testTurn(settings)

  test(`${title} says hello`, limit, async () => {
    const { status, out, all } = await ask('hello there')
    assert.equal(status, 0, all)
    assert.ok(out.includes(`This is ${from}`), all)
    const requests = await turns()
    assertBetween(requests.length, 1, 1 + more)
    assert.ok(requests.some(({ Path, Body }) => Path === prefix + path && JSON.stringify(Body).includes('hello there')), requests.map(({ Path }) => Path).join())
  })

  test(`${title} shows what is wrong with a wrong key`, limit, async () => {
    const { status, all } = await ask('hello there', 'wrong')
    assert.notEqual(status, 0, all)
    assert.match(all, wrongKey.shows)
    assert.deepEqual(await statuses(wrongKey.requests), Array(wrongKey.requests).fill(401))
    assert.deepEqual(await sent(), [])
  })

  test(`${title} shows that an answer was cut off`, limit, async () => {
    const breakOff = { Cut: { After: 3 } }
    await (cut.times ? next(...Array(cut.times).fill(breakOff)) : always(breakOff))
    const { status, all } = await ask('hello there')
    assert.equal(status, cut.status ?? 1, all)
    assert.match(all, cut.shows)
    assert.equal((await sent()).length, cut.requests, all)
  })
}
