//! The AWS Query protocol: form-encoded requests in, XML documents out.
