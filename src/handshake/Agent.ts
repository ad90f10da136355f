/** What both ends call themselves in the Server and User-Agent headers: the package's name and version. */
export const agent = "effect-websocket/0.1.0"
