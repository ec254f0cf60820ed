package screenpop
