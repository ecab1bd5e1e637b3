// What Cloudflare's REST API does for KV and Miniflare's does not, on Miniflare's KV. Each namespace is bound by
// its id.
const operations = {
  'PUT bulk': async (kv, pairs) => {
    await Promise.all(pairs.map(({ key, value, metadata, expiration, expiration_ttl: expirationTtl, base64 }) =>
      kv.put(key, base64 ? Uint8Array.from(atob(value), c => c.charCodeAt(0)) : value, { metadata, expiration, expirationTtl })))
    return { successful_key_count: pairs.length, unsuccessful_keys: [] }
  },
  'POST bulk/delete': async (kv, keys) => {
    await Promise.all(keys.map(key => kv.delete(key)))
    return { successful_key_count: keys.length, unsuccessful_keys: [] }
  },
  // One by one, because KV's own read of many loses the name __proto__ in Miniflare.
  'POST bulk/get': async (kv, { keys, withMetadata }) => {
    const read = async key => {
      const { value, metadata } = await kv.getWithMetadata(key)
      if (value === null || !withMetadata) return [key, value]
      const { keys: [first] } = await kv.list({ prefix: key, limit: 1 }) // a listing alone has ends
      return [key, { value, metadata, expiration: first.expiration }]
    }
    return { values: Object.fromEntries(await Promise.all(keys.map(read))) }
  },
}

export default {
  async fetch(request, env) {
    const [, namespace, operation] = new URL(request.url).pathname.match(/^\/storage\/kv\/namespaces\/([^/]+)\/(.*)$/)
    const reply = (status, result, ...errors) => Response.json({ result, success: status === 200, errors, messages: [] }, { status })
    if (!env[namespace]) return reply(404, null, { code: 10013, message: 'namespace not found' })
    try {
      return reply(200, await operations[`${request.method} ${operation}`](env[namespace], await request.json()))
    } catch (err) {
      return reply(400, null, { code: 10001, message: err.message })
    }
  },
}
