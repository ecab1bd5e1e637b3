// Draws dashboard.json: node draw.js <Prometheus' URL> <picture.png> <from> <to>, both in Unix seconds.
// It asks Prometheus what the panels ask, as Grafana does with this scrape interval, and has Chromium
// (CHROMIUM names its program) draw the answers on page.html. What it knows of Grafana's panels is no
// more than this dashboard needs.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const [prometheus, picture, from, to] = process.argv.slice(2)
const here = path => fileURLToPath(new URL(path, import.meta.url))
const read = path => readFileSync(here(path), 'utf8')
const width = 1440
const scrape = 5
const step = Math.max(scrape, Math.ceil((to - from) / width))
const rateInterval = `${Math.max(step + scrape, 4 * scrape)}s`

async function ask(expr) {
  const query = expr.replaceAll('$__rate_interval', rateInterval)
  const response = await fetch(`${prometheus}/api/v1/query_range`, { method: 'POST', body: new URLSearchParams({ query, start: from, end: to, step }) })
  const { status, error, data } = await response.json()
  if (status !== 'success') throw new Error(`${query}: ${error}`)
  return data.result
}

const dashboard = JSON.parse(read('../dashboard.json'))
const times = []
for (let time = Number(from); time <= to; time += step) times.push(time)
for (const panel of dashboard.panels) {
  panel.series = []
  for (const { expr, legendFormat = '' } of panel.targets) {
    for (const { metric, values } of await ask(expr)) {
      const at = new Map(values.map(([time, value]) => [time, Number.isFinite(Number(value)) ? Number(value) : null]))
      const name = legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label])
      panel.series.push({ name, values: times.map(time => at.get(time) ?? null) })
    }
  }
  if (panel.series.every(({ values }) => values.every(value => value === null))) throw new Error(`${panel.title}: no data`)
}

const alerts = new Set((await ask('ALERTS{alertstate="firing"}')).map(({ metric }) => metric.alertname))
console.log('alerts that fired:', [...alerts].sort().join(', ') || 'none')

const folder = mkdtempSync(join(tmpdir(), 'continue-auth-draw-'))
try {
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h))
  const script = text => text.replaceAll('</script', '<\\/script')
  const page = read('page.html')
    .replace('/* style */', () => read('node_modules/uplot/dist/uPlot.min.css'))
    .replace('/* library */', () => script(read('node_modules/uplot/dist/uPlot.iife.min.js')))
    .replace('/* data */', () => script(`const dashboard = ${JSON.stringify(dashboard)}, times = ${JSON.stringify(times)}, width = ${width}`))
  writeFileSync(join(folder, 'page.html'), page)
  execFileSync(process.env.CHROMIUM ?? 'chromium', [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
    `--user-data-dir=${join(folder, 'chromium')}`, `--window-size=${width},${bottom * 38 + 50}`, `--screenshot=${resolve(picture)}`, `file://${join(folder, 'page.html')}`,
  ], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000, killSignal: 'SIGKILL' })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
