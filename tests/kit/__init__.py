"""What tests share: names, sound, servers, clients, the command, a terminal and a browser."""
