"""Labels looked over before anybody trains on them."""
