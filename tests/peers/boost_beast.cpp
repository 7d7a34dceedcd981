// Boost.Beast as a peer; README.md says what a peer does.

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <iostream>
#include <string>

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::asio::ip::tcp;
using WebSocket = websocket::stream<tcp::socket>;

static void set_options(WebSocket &ws)
{
    websocket::permessage_deflate deflate;
    deflate.client_enable = true;
    deflate.server_enable = true;
    ws.set_option(deflate);
    ws.read_message_max(2 << 20);
}

static void send(WebSocket &ws, const std::string &message, bool text = true)
{
    ws.text(text);
    ws.write(boost::asio::buffer(message));
}

static void send_fragments(WebSocket &ws)
{
    ws.text(true);
    ws.write_some(false, boost::asio::buffer(std::string("one ")));
    ws.write_some(false, boost::asio::buffer(std::string("two ")));
    ws.write_some(true, boost::asio::buffer(std::string("three")));
}

static std::string receive(WebSocket &ws)
{
    beast::flat_buffer buffer;
    ws.read(buffer);
    return beast::buffers_to_string(buffer.data());
}

static std::string close_reason(WebSocket &ws)
{
    const auto &reason = ws.reason().reason;
    return std::string(reason.data(), reason.size());
}

static tcp::socket connect(boost::asio::io_context &io, const std::string &authority)
{
    tcp::socket socket(io);
    const auto port = static_cast<unsigned short>(std::stoi(authority.substr(authority.find(':') + 1)));
    socket.connect({boost::asio::ip::make_address(authority.substr(0, authority.find(':'))), port});
    return socket;
}

static std::string open(WebSocket &ws, const std::string &authority, const std::string &target)
{
    set_options(ws);
    ws.set_option(websocket::stream_base::decorator(
        [](websocket::request_type &request) { request.set(http::field::sec_websocket_protocol, "chat"); }));
    websocket::response_type response;
    ws.handshake(response, authority, target);
    const bool compressed = response[http::field::sec_websocket_extensions].find("permessage-deflate") == 0;
    return "\"subprotocol\": \"" + std::string(response[http::field::sec_websocket_protocol]) +
           "\", \"compressed\": " + (compressed ? "true" : "false");
}

// The URI is ws://ADDRESS:PORT/
static void client(const std::string &uri)
{
    const std::string authority = uri.substr(5, uri.size() - 6);
    boost::asio::io_context io;
    WebSocket ws(connect(io, authority));
    std::cout << "{" << open(ws, authority, "/") << std::boolalpha;
    std::string bytes(256, '\0');
    for (int i = 0; i < 256; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(i);
    int echoed = 0;
    for (const auto &[message, text] : {std::pair(std::string("h\xc3\xa9llo"), true), std::pair(bytes, false),
                                        std::pair(std::string(), false), std::pair(std::string(1 << 20, 'x'), true)}) {
        send(ws, message, text);
        echoed += receive(ws) == message && ws.got_text() == text;
    }
    send_fragments(ws);
    const bool fragments = receive(ws) == "one two three";
    send(ws, "fragments");
    const bool joined = receive(ws) == "one two three";
    bool pinged = false;
    ws.control_callback([&](websocket::frame_type kind, beast::string_view payload) {
        pinged = pinged || (kind == websocket::frame_type::pong && payload == "there?");
    });
    ws.ping("there?");
    send(ws, "ping");
    const bool ponged = receive(ws) == "ponged";
    ws.close({websocket::close_code(3000), "done"});
    std::cout << ", \"echoed\": " << echoed << ", \"fragments\": " << fragments << ", \"joined\": " << joined
              << ", \"pinged\": " << pinged << ", \"ponged\": " << ponged << ", \"closed\": " << ws.reason().code;
    WebSocket other(connect(io, authority));
    open(other, authority, "/close");
    beast::flat_buffer buffer;
    beast::error_code error;
    other.read(buffer, error);
    std::cout << ", \"server_closed\": [" << other.reason().code << ", \"" << close_reason(other) << "\"]}"
              << std::endl;
}

static void serve(tcp::socket socket)
{
    WebSocket ws(std::move(socket));
    set_options(ws);
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    http::read(ws.next_layer(), buffer, request);
    if (request[http::field::sec_websocket_protocol] == "chat")
        ws.set_option(websocket::stream_base::decorator(
            [](websocket::response_type &response) { response.set(http::field::sec_websocket_protocol, "chat"); }));
    ws.accept(request);
    ws.control_callback([&](websocket::frame_type kind, beast::string_view) {
        if (kind == websocket::frame_type::pong) send(ws, "ponged");
    });
    for (;;) {
        buffer.clear();
        beast::error_code error;
        ws.read(buffer, error);
        if (error) {
            std::cout << "closed " << ws.reason().code << " " << close_reason(ws) << std::endl;
            return;
        }
        const bool is_text = ws.got_text();
        const std::string message = beast::buffers_to_string(buffer.data());
        if (is_text && message == "fragments") {
            send_fragments(ws);
        } else if (is_text && message == "ping") {
            ws.ping("there?");
        } else if (is_text && message == "close") {
            ws.close({websocket::close_code(3001), "bye"});
            return;
        } else {
            send(ws, message, is_text);
        }
    }
}

static void server()
{
    boost::asio::io_context io;
    tcp::acceptor acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    std::cout << acceptor.local_endpoint().port() << std::endl;
    for (;;) {
        serve(acceptor.accept());
    }
}

int main(int count, char **arguments)
{
    if (count > 2 && std::string(arguments[1]) == "client")
        client(arguments[2]);
    else
        server();
}
