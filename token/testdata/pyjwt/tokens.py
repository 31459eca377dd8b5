"""Makes tokens with PyJWT, in the shapes in which three programs make theirs, and prints them as JSON.

    /usr/bin/python3 tokens.py NOW >tokens.json     # NOW in seconds since 1970

Debian's python3-jwt is enough for the secrets here; with python3-cryptography there are tokens of key pairs too, with their public keys.
"""

import json
import sys
import uuid

import jwt

now = int(sys.argv[1])
hour = 3600
secrets = {
    "login": "0123456789abcdefghijklmnopqrstuv",
    "username": "q2w3e4r5t6y7u8i9o0p1a2s3d4f5g6h7",
    "access": "8d4f7c1e9b2a6053d4c8e7f1a9b3c5d7",
    "refresh": "8d4f7c1e9b2a6053d4c8e7f1a9b00000",
    "email": "8d4f7c1e9b2a6053d4c8e7f1a9b11111",
}


def sign(secret, payload, algorithm="HS256", **more):
    return jwt.encode(payload, secrets.get(secret, secret), algorithm=algorithm, **more)


def username(payload):
    """A token that says in its payload what belongs into its header."""
    body = {"headers": {"typ": "JWT", "alg": "HS256"}, "iat": now, "exp": now + 30 * 24 * hour}
    body.update(payload)
    return sign("username", body)


def user(secret, claim, hours=10, **more):
    """A token of an account, of a kind that its claim says."""
    body = {**claim, "iss": "fathat.org", "exp": now + hours * hour, "iat": now, "sub": str(uuid.uuid4()), "access_role": "basic", "user_id": 7}
    body.update(more)
    return sign(secret, {name: value for name, value in body.items() if value is not None})


tokens = {
    "login": sign("login", {"login": "Andrew", "exp": now + hour}),
    "login without exp": sign("login", {"login": "Andrew"}),
    "login expired": sign("login", {"login": "Andrew", "exp": now - hour}),
    "login without login": sign("login", {"sub": "Andrew", "exp": now + hour}),
    "login empty": sign("login", {"login": "", "exp": now + hour}),
    "login null": sign("login", {"login": None, "exp": now + hour}),
    "login unsigned": jwt.encode({"login": "Andrew", "exp": now + hour}, None, algorithm="none"),
    "username": username({"username": "jacky"}),
    "username in Chinese": username({"username": "你好世界"}),
    "username missing": username({"user": "jacky"}),
    "username empty": username({"username": ""}),
    "username expired": username({"username": "jacky", "exp": now - hour}),
    "access": user("access", {"standard_claim": True}),
    "access with a text": user("access", {"standard_claim": True}, user_id="seven"),
    "access of an admin": user("access", {"standard_claim": True}, access_role="admin"),
    "access, claim false": user("access", {"standard_claim": False}),
    "access, no claim": user("access", {}),
    "access, claim of refresh": user("access", {"refresh_claim": True}),
    "access, other issuer": user("access", {"standard_claim": True}, iss="evil"),
    "access, no user": user("access", {"standard_claim": True}, user_id=None),
    "access, expired": user("access", {"standard_claim": True}, hours=-1),
    "access, no exp": user("access", {"standard_claim": True}, exp=None),
    "refresh": user("refresh", {"refresh_claim": True}, hours=24),
    "refresh, standard claim": user("refresh", {"standard_claim": True}),
    "email": user("email", {"email_claim": "jack@example.org"}, hours=1),
}

pairs = {}
try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
except ImportError:
    pass
else:
    strong = rsa.generate_private_key(65537, 2048)
    for algorithm, key in {"RS256": strong, "PS256": strong, "ES256": ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}.items():
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        body = {"sub": "jack", "iss": "https://other.example", "aud": ["https://app.example"], "exp": now + hour, "iat": now}
        pairs[algorithm] = {"public": public, "token": sign(key, body, algorithm), "named": sign(key, body, algorithm, headers={"kid": "2026", "typ": "at+jwt"})}

json.dump({"now": now, "secrets": secrets, "tokens": tokens, "pairs": pairs}, sys.stdout, indent=1, ensure_ascii=False)
print()
