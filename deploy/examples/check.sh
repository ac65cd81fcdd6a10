#!/bin/sh
# An example of a check script: 0 means that this host could serve. It runs on all hosts, also where the service does not run
# now, so it asks for what the service needs and not for the service: here, that its configuration is sound. Where the service
# runs everywhere, ask the service itself:
#
#   exec curl --silent --fail --max-time 1 --output /dev/null http://127.0.0.1/

exec apachectl configtest
