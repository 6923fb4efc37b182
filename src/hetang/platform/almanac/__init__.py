"""Days that matter to a brand: public holidays, make-up workdays, festivals, solar terms, shopping days. Pure."""
