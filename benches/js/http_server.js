// "hello world" over HTTP from Node.      usage: node http_server.js PORT

require('http')
    .createServer((request, response) => {
        response.setHeader('content-type', 'text/plain')
        response.end('hello world\n')
    })
    .listen(Number(process.argv[2]), '127.0.0.1')
