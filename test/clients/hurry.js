// A clock for clients that runs a hundred times as fast: what they wait before they ask again would take minutes. Their
// patience with an answer, ten minutes, stays as it is.
const wait = globalThis.setTimeout
const patience = 600_000
globalThis.setTimeout = Object.assign((done, ms, ...rest) => wait(done, ms < patience ? ms / 100 : ms, ...rest), wait)
