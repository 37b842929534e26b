"""Will a flight arrive more than 15 minutes late, said two hours before it is to leave?"""
