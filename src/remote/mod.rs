//! The program that runs on the host: requests, the shell text, and replies.
