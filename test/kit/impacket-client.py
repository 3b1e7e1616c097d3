"""impacket as a client: lists a folder and hashes a file; prints one JSON object.

usage: impacket-client.py PORT DIALECT USER PASSWORD SHARE FOLDER FILE
"""

import hashlib
import json
import sys

from impacket import smb3structs
from impacket.smbconnection import SMBConnection

port, dialect, user, password, share, folder, path = sys.argv[1:]
dialects = {
    "2.0.2": smb3structs.SMB2_DIALECT_002,
    "2.1": smb3structs.SMB2_DIALECT_21,
    "3.0": smb3structs.SMB2_DIALECT_30,
}
connection = SMBConnection(
    "127.0.0.1", "127.0.0.1", sess_port=int(port), preferredDialect=dialects.get(dialect), timeout=30
)
connection.login(user, password)
entries = [
    {
        "name": entry.get_longname(),
        "directory": bool(entry.is_directory()),
        "size": entry.get_filesize(),
    }
    for entry in connection.listPath(share, folder + "\\*")
]
digest = hashlib.sha256()
connection.getFile(share, path, digest.update)
print(
    json.dumps(
        {
            "dialect": hex(connection.getDialect()),
            "guest": bool(connection.isGuestSession()),
            "shares": [item["shi1_netname"][:-1] for item in connection.listShares()],
            "entries": sorted(entries, key=lambda entry: entry["name"]),
            "sha256": digest.hexdigest(),
        }
    )
)
connection.logoff()
