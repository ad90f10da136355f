/**
 * WebSocket endpoints among the routes of Effect's `HttpRouter`. They have an entry point of their own, because
 * Effect's HTTP modules are much to load for a server without them.
 */
export * as NodeWebSocketRoute from "./NodeWebSocketRoute.ts"
