// A coding agent as a process, set up as `caddy continue-auth client-config` says.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { always, folder, limit, ours, sent, statuses, user } from './server.js'

const running = new Set()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL'))) // where the tests are stopped half way
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

// The longest that an agent may take, and the longest that it may keep its output open behind its end.
const patience = 30_000

// setUp makes a home as client-config says for an agent, and returns its path, and the variables that the user is to set.
export function setUp(agent, email, key) {
  const home = mkdtempSync(join(folder, agent + '-'))
  const variables = {}
  const printed = ours('client-config', email, '--for', agent)
  assert.ok(printed.includes('USER_KEY') && !printed.includes(key), printed)
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
  return { home, variables }
}

// run runs a program of node_modules/.bin in an empty folder with one file, and returns its status and what it prints.
function run(program, args, { home, variables }) {
  const cwd = mkdtempSync(join(folder, 'work-'))
  mkdirSync(join(home, 'tmp'), { recursive: true })
  writeFileSync(join(cwd, 'first.txt'), 'PONG is the word\n')
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

// testAgent tests an agent:
//
//   agent, program, args   its name, its program, and the arguments before the prompt
//   title                  what the tests are called; the agent's name, if it has one way to models alone
//   variables              what keeps it from the network and from waiting for somebody
//   path, model            where its requests are to arrive at the gateway, and for which model
//   answers                what it shows of an answer
//   tool                   its tool that reads a file
//   more                   how many requests it makes beside those that the user waits for: a title, a memory
//   wrongKey, cut          how many requests the server sees, and what the user is shown
export function testAgent({ agent, program = agent, title = agent, args, variables = {}, path, answers, tool, more = 0, wrongKey, cut }) {
  const email = `${title.replaceAll(' ', '-')}@example.com`
  const key = user(email)
  const ask = (prompt, apiKey = key) => {
    const at = setUp(agent, email, apiKey)
    return run(program, [...args, prompt], { ...at, variables: { ...at.variables, ...variables } })
  }
  const turns = async () => {
    const requests = await sent()
    requests.forEach(({ Header }) => assert.deepEqual(Header['Cf-Aig-Metadata'], [JSON.stringify({ user: email })]))
    return requests
  }

  test(`${title} says hello`, limit, async () => {
    const { status, out, all } = await ask('hello there')
    assert.equal(status, 0, all)
    assert.match(out, answers)
    const requests = await turns()
    assert.equal(requests.length, 1 + more, JSON.stringify(requests.map(({ Path }) => Path)))
    const [turn] = requests.filter(({ Path, Body }) => Path.endsWith(path) && /"hello there|hello there[\\"]/.test(JSON.stringify(Body)))
    assert.ok(turn, JSON.stringify(requests.map(({ Path }) => Path)))
  })

  test(`${title} reads a file with a tool`, limit, async () => {
    const { status, out, all } = await ask(`USETOOL ${tool} first.txt`)
    assert.equal(status, 0, all)
    assert.match(out, /The tool says/, all)
    const requests = await turns()
    assert.equal(requests.length, 2 + more, JSON.stringify(requests.map(({ Path }) => Path)))
    assert.ok(requests.some(({ Body }) => JSON.stringify(Body).includes('PONG is the word')), all)
  })

  test(`${title} shows what is wrong with a wrong key`, limit, async () => {
    const { status, all } = await ask('hello there', 'wrong')
    assert.notEqual(status, 0, all)
    assert.match(all, wrongKey.shows)
    assert.deepEqual(await statuses(wrongKey.requests), Array(wrongKey.requests).fill(401))
    assert.deepEqual(await sent(), [])
  })

  test(`${title} shows that an answer was cut off`, limit, async () => {
    await always({ Cut: { After: 3 } })
    const { status, all } = await ask('hello there')
    assert.equal(status === 0, Boolean(cut.succeeds), all)
    assert.match(all, cut.shows)
    assert.equal((await statuses(cut.requests)).length, cut.requests)
  })
}
